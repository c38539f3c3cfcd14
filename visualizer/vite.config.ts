import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` with GALVATRON_URL=http://127.0.0.1:PORT of a running `galvatron visualize`.
// The server checks Host and Origin, so the proxy speaks as a page of its own.
const server = process.env.GALVATRON_URL;
const proxy = server
  ? { "/api": { target: server, changeOrigin: true, headers: { origin: server } } }
  : undefined;

export default defineConfig({
  plugins: [react()],
  server: { proxy },
  preview: { proxy },
  build: {
    outDir: "dist",
    target: "es2022",
    // The content security policy allows no inline code, and fonts or images inside CSS are none of ours.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
});
