#include "transfer/deliver/part_handles.h"

namespace ferry::transfer {

using sftp::Handle;
using sftp::Task;

Task<Result<Handle>> PartHandles::borrow(Target target, Look look) {
  const auto [found, is_new] = entries_.try_emplace(target.part_path);
  Entry& entry = found->second;
  ++entry.borrowers;
  if (is_new) {
    auto opened = co_await open_part(client_, target, Existing::kKeep);
    if (opened) {
      const auto looked = co_await look(*opened);
      if (!looked) opened = looked.error();
    }
    entry.handle.set(opened);
  }
  auto handle = co_await entry.handle;
  if (!handle && --entry.borrowers == 0) entries_.erase(target.part_path);
  co_return handle;
}

Task<Result<void>> PartHandles::give_back(std::string part_path) {
  const auto found = entries_.find(part_path);
  if (--found->second.borrowers > 0) co_return Result<void>();
  const auto handle = found->second.handle.await_resume();
  entries_.erase(found);
  const auto closed = co_await client_.close(*handle);
  if (!closed) co_return closed.error().with_context("close the part file");
  co_return closed;
}

}  // namespace ferry::transfer
