// Walks directories piece by piece, so that the caller can do other things in between.
//
// Two passes: the first arms every directory and finds those below it; the second lists the files.
// A directory is always armed before it is read, so nothing can come to be in it unseen. The first
// pass is cheap in memory however many files there are; the second stops while the caller has
// enough of them.
#pragma once

#include <dirent.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "ferry/base/result.h"

namespace ferry::landing {

class DirectoryReader {
 public:
  struct Entry {
    std::string name;
    bool directory = false;
  };

  /// DIRECTORY is relative; "" is the root itself.
  static Result<DirectoryReader> open(int root_fd, const std::string& directory);

  /// Nothing at the end, also where the directory vanished meanwhile.
  Result<std::optional<Entry>> next();

 private:
  struct Closer {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  explicit DirectoryReader(DIR* stream) : stream_(stream) {}
  std::unique_ptr<DIR, Closer> stream_;
};

/// What a scan does with what it finds. Directories and paths are relative to the root.
class ScanVisitor {
 public:
  virtual ~ScanVisitor() = default;
  /// Called before DIRECTORY is read; false: leave it out.
  virtual bool arm(const std::string& directory) = 0;
  /// A directory was found in an armed one; false: leave it out.
  virtual bool enters(const std::string& directory) = 0;
  /// Anything that is not a directory.
  virtual void found(const std::string& path) = 0;
  virtual void unreadable(const std::string& directory, const Error& error) = 0;
};

class Scan {
 public:
  void add(std::string directory) { to_arm_.push_back(std::move(directory)); }
  void clear();

  /// Reads up to BUDGET entries. With MAY_LIST false only the first pass goes on.
  void step(int root_fd, ScanVisitor& visitor, std::size_t budget, bool may_list);

  bool all_armed() const { return to_arm_.empty() && !arming_; }
  bool done() const { return all_armed() && to_list_.empty() && !listing_; }

 private:
  struct Reading {
    std::string directory;
    DirectoryReader reader;
  };
  using Queue = std::deque<std::string>;

  /// Goes on with READING, or begins the next of QUEUE.
  static bool begin(std::optional<Reading>& reading, Queue& queue, int root_fd,
                    ScanVisitor& visitor);
  /// The next entry of READING; nothing, and READING over, at the end or if it cannot be read.
  static std::optional<DirectoryReader::Entry> read_next(std::optional<Reading>& reading,
                                                         ScanVisitor& visitor);
  std::size_t arm_some(int root_fd, ScanVisitor& visitor, std::size_t budget);
  void list_some(int root_fd, ScanVisitor& visitor, std::size_t budget);

  Queue to_arm_;
  Queue to_list_;
  std::optional<Reading> arming_;
  std::optional<Reading> listing_;
};

/// "a" and "b" make "a/b"; the root is "".
std::string join(const std::string& directory, const std::string& name);

}  // namespace ferry::landing
