// The page itself: its files, and what browsers are told to refuse.
#pragma once
#include <optional>
#include <string>

#include "galvatron/server/http.h"

namespace galvatron::server {

// The file under the request's path; "/" is the page. nullopt: there is none. A build without the
// page has one that says how to build it.
std::optional<HttpAnswer> page_answer(const HttpRequest& request);

// A refusal to a person who looks at it: a page of one sentence.
HttpAnswer sentence_page(int status, const std::string& sentence);

// Adds to every answer what keeps a browser from running or framing anything but the page.
void add_security_headers(HttpAnswer& answer);

}  // namespace galvatron::server
