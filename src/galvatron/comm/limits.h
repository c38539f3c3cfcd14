// How long ranks have patience with each other, in seconds.
#pragma once

namespace galvatron::comm {

struct Limits {
  // From the first rank's start until the last one has come.
  int join = 300;
  // Without a sign of life of a rank: of its process, and of its own work unless that waits for
  // others.
  int step = 45;
  // The same for the work of a rank that reads or writes files.
  int io = 1800;
};

}  // namespace galvatron::comm
