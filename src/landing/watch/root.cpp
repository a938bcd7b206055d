#include "landing/watch/root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace ferry::landing {
namespace {

// Those that <linux/magic.h> does not name.
constexpr std::uint32_t kCifsMagic = 0xFF534D42;
constexpr std::uint32_t kCephMagic = 0x00C36400;
constexpr std::uint32_t kLustreMagic = 0x0BD00BD0;
constexpr std::uint32_t kGpfsMagic = 0x47504653;
constexpr std::uint32_t kVmwareSharedFolders = 0xBACBACBC;
constexpr std::uint32_t kVirtualBoxSharedFolders = 0x786F4256;

constexpr std::array<std::uint32_t, 15> kRemoteTypes{
    NFS_SUPER_MAGIC,   SMB_SUPER_MAGIC,      SMB2_SUPER_MAGIC,
    kCifsMagic,        FUSE_SUPER_MAGIC,     V9FS_MAGIC,
    CODA_SUPER_MAGIC,  AFS_SUPER_MAGIC,      AFS_FS_MAGIC,
    OCFS2_SUPER_MAGIC, kCephMagic,           kLustreMagic,
    kGpfsMagic,        kVmwareSharedFolders, kVirtualBoxSharedFolders};

}  // namespace

bool is_remote_file_system(long type) {
  return std::ranges::find(kRemoteTypes, static_cast<std::uint32_t>(type)) != kRemoteTypes.end();
}

Result<Root> Root::find(const fs::path& path) {
  auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error().with_context("landing area");
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error().with_context("landing area");
  struct statfs file_system{};
  if (::fstatfs(fd->get(), &file_system) != 0) {
    return errno_error(errno, fmt::format("landing area: statfs {}", path.string()));
  }
  return Root(path, *status, !is_remote_file_system(file_system.f_type));
}

Result<UniqueFd> Root::open() const {
  auto fd = open_file(path_, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd;
  const auto status = stat_fd(fd->get(), path_);
  if (!status) return status.error();
  if (status->st_dev != device_ || status->st_ino != inode_) {
    return make_error(ErrorKind::kNotFound, "{} is another directory than before", path_.string());
  }
  return fd;
}

}  // namespace ferry::landing
