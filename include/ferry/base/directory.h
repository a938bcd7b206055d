// Names in directories that others may write to.
//
// Whoever may write to a directory can put anything in the place of any name there, at any moment:
// another file, a link that leads elsewhere, a FIFO that nobody ever writes to. So names are
// resolved beneath a descriptor, no link is followed, no open waits for anybody, and what counts is
// what an opened or moved file turns out to be, never what had been looked at before.
//
// Directory arguments are descriptors. Errors carry the name; kNotFound says that nothing of this
// name is there, and no other error does.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry {

/// Opens RELATIVE below ROOT. No component may be a symbolic link or lead out of ROOT: kAbnormal
/// (openat2(2): RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS). Waits for nobody,
/// whatever it is that it opens; kBusy if somebody holds a lease on the file (fcntl(2)).
Result<UniqueFd> open_beneath(int root, const std::string& relative, int flags);

/// What RELATIVE below ROOT is, without opening it; of a last symbolic link, the link itself.
Result<struct stat> stat_beneath(int root, const std::string& relative);

/// The device of the nearest directory above RELATIVE that is there; nothing if that cannot be
/// told.
std::optional<std::uint64_t> device_above(int root, std::string relative);

/// What NAME in DIRECTORY is; of a symbolic link, the link itself.
Result<struct stat> stat_at(int directory, const std::string& name);

/// The same with absence as a value: an error says that it cannot be told.
Result<std::optional<struct stat>> find_at(int directory, const std::string& name);

/// A path below a root, as its opened directory and its name there.
struct Entry {
  UniqueFd directory;
  std::string name;
};

/// kInvalid if PATH ends with no name for a file.
Result<Entry> open_parent(int root, const std::string& path);

/// The same, and makes the directories above PATH that are missing.
Result<Entry> make_parent(int root, const std::string& path, mode_t directory_mode = 0777);

/// Makes and opens a new file for writing; EEXIST (os_code) if anything has the name.
Result<UniqueFd> create_at(int directory, const std::string& name, mode_t mode);

/// Renames without taking the place of anything: EEXIST (os_code) if the new name is taken.
Result<void> rename_new(int from, const std::string& name, int to, const std::string& new_name);

Result<void> remove_at(int directory, const std::string& name);

/// fsync(2); WHAT is for messages.
Result<void> sync(int fd, const fs::path& what);

// Directories of our own, for what nobody else may exchange: they belong to our account, and only
// it may write to them. One that is ours and open to others is closed to them (0700); one that is
// not ours is refused with kDenied.

/// Our account is the one that we run as. Root may act for another: what belongs to ACCOUNT is ours
/// then, too, and private directories and files that root makes belong to it. To be called before
/// there are other threads; without effect for others than root.
void act_for(uid_t account, gid_t group);

/// Gives a file that was just made to the account that root acts for.
void give_to_our_account(int fd);

/// Opens the directory NAME in PARENT. PATH is for messages. kNotFound if there is none.
Result<UniqueFd> open_private_directory(int parent, const std::string& name, const fs::path& path);

/// The same, and makes it if it is missing.
Result<UniqueFd> make_private_directory(int parent, const std::string& name, const fs::path& path);

/// The same for a directory that the configuration names: the directories above it are trusted.
Result<UniqueFd> open_private_directory(const fs::path& path);
Result<UniqueFd> make_private_directory(const fs::path& path);

/// Gives a small file its content in one step, durably. DIRECTORY is ours alone, and only one
/// caller at a time writes NAME: a temporary name beside it is the same each time, so that what a
/// crash leaves is replaced the next time.
Result<void> replace_at(int directory, const std::string& name, std::string_view content,
                        mode_t mode);

}  // namespace ferry
