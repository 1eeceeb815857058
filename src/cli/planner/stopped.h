// What a verb says last that keeps each result as it comes.
#pragma once

namespace dashf::cli {

// From now on SIGINT and SIGTERM end this process as they do, after this line on stderr, which must
// outlive it.
void SayWhenStopped(const char* line);

}  // namespace dashf::cli
