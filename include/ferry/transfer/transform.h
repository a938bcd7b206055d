// What may be done to a file's bytes on their way to a destination.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace ferry::transfer {

// The output of these depends on the input and the settings alone.

struct Gzip {
  int level = 6;  // 1 (fast) to 9 (small)
};

struct Zstd {
  int level = 3;  // 1 (fast) to 19 (small)
};

struct LineEndings {
  enum class Ending : std::uint8_t { kLf, kCrLf };
  Ending ending = Ending::kLf;
};

/// Names as of iconv(3). What cannot be converted fails the file.
struct Charset {
  std::string from;
  std::string to;
};

/// Any program that filters stdin to stdout; argv, no shell. FERRY_PATH and FERRY_ID tell it which
/// file it is. Exit status 0: done; 75 (EX_TEMPFAIL of sysexits.h): it may work later; any other
/// fails the file.
struct FilterCommand {
  std::vector<std::string> argv;
  std::chrono::milliseconds time_limit = std::chrono::hours(1);  // for one file
};

struct TransformSpec {
  std::string name;    // for messages
  std::string suffix;  // what it adds to the file's name, such as ".gz"
  std::variant<Gzip, Zstd, LineEndings, Charset, FilterCommand> action;
};

}  // namespace ferry::transfer
