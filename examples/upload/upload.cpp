// Uploads its standard input: a program that links the Upload API.
//
//   upload_example LANDING_DIRECTORY METASTORE NAME < FILE
#include <unistd.h>

#include <boost/filesystem/operations.hpp>
#include <cerrno>
#include <cstdio>

#include "ferry/landing/upload.h"
#include "ferry/metastore/metastore.h"

namespace {

ferry::Result<void> copy_input(ferry::landing::Upload::File& file) {
  std::vector<std::byte> buffer(256 * 1024);
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0) return ferry::errno_error(errno, "read standard input");
    if (count == 0) return file.finish();
    const auto data = std::span(buffer).first(static_cast<std::size_t>(count));
    if (auto written = file.write(data); !written) return written;
  }
}

ferry::Result<std::string> upload(const ferry::fs::path& landing, const ferry::fs::path& metastore,
                                  const std::string& name) {
  auto store = ferry::metastore::open_metastore(metastore.string(), {});
  if (!store) return store.error();
  ferry::landing::LandingArea area;
  area.name = landing.string();
  area.path = landing;
  auto upload = ferry::landing::Upload::begin(
      **store, {.area = area, .journals = metastore / "uploads", .no_clobber = false},
      ferry::stop_on_signals());
  if (!upload) return upload.error().error;
  const auto file = (*upload)->open(name);
  if (!file) return file.error().error;
  if (auto copied = copy_input(**file); !copied) return copied.error();
  auto records = (*upload)->commit();
  if (!records) return records.error().error;
  return records->front().id;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) return std::fputs("upload_example LANDING METASTORE NAME < FILE\n", stderr), 2;
  const auto id = upload(ferry::fs::absolute(words[1]), ferry::fs::absolute(words[2]), words[3]);
  if (!id) return std::fprintf(stderr, "%s\n", id.error().message.c_str()), 1;
  std::puts(id->c_str());
}
