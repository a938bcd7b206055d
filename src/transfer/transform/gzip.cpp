// gzip (RFC 1952), by zlib. Its header carries neither a name nor a time.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

constexpr int kGzipFormat = 16;  // added to the window's size: a gzip header instead of zlib's
constexpr int kMemoryLevel = 8;  // zlib's default
constexpr int kDefaultLevel = 6;
constexpr int kHighestLevel = 9;

class GzipTransform final : public Transform {
 public:
  explicit GzipTransform(int level) {
    is_ready_ = ::deflateInit2(&stream_, level, Z_DEFLATED, MAX_WBITS + kGzipFormat, kMemoryLevel,
                               Z_DEFAULT_STRATEGY) == Z_OK;
  }
  GzipTransform(const GzipTransform&) = delete;
  GzipTransform& operator=(const GzipTransform&) = delete;
  ~GzipTransform() override { ::deflateEnd(&stream_); }

  bool is_ready() const { return is_ready_; }

  Result<void> write(std::span<const std::byte> data, const ByteSink& sink) override {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    for (; !data.empty(); data = data.subspan(std::min(data.size(), kMost))) {
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
      stream_.avail_in = static_cast<uInt>(std::min(data.size(), kMost));
      if (auto done = drain(Z_NO_FLUSH, sink); !done) return done;
    }
    return {};
  }

  Result<void> finish(const ByteSink& sink) override { return drain(Z_FINISH, sink); }

 private:
  Result<void> drain(int flush, const ByteSink& sink) {
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      ::deflate(&stream_, flush);  // cannot fail: the stream is sound, and there is room
      const std::size_t size = out_.size() - stream_.avail_out;
      if (size == 0) continue;
      if (auto taken = sink(std::span(out_).first(size)); !taken) return taken;
    } while (stream_.avail_out == 0);
    return {};
  }

  z_stream stream_{};
  bool is_ready_ = false;
  std::array<std::byte, 64 * 1024> out_;
};

int level_of(const TransformSettings& settings) {
  return settings.level > 0 ? settings.level : kDefaultLevel;
}

std::vector<TransformMistake> check(const TransformSettings& settings) {
  if (settings.level <= kHighestLevel) return {};
  return {{"level", fmt::format("gzip knows levels from 1 to {}", kHighestLevel)}};
}

Result<std::unique_ptr<Transform>> make(const TransformSettings& settings, const TransformedFile&,
                                        const StopToken&) {
  auto transform = std::make_unique<GzipTransform>(level_of(settings));
  if (!transform->is_ready()) {
    return make_error(ErrorKind::kFailed, "gzip: no level {}, or no memory", level_of(settings));
  }
  return transform;
}

std::string fingerprint_of(const TransformSettings& settings) {
  return fmt::format("gzip {}", level_of(settings));
}

}  // namespace

extern const TransformType kGzipType{.name = "gzip",
                                     .suffix = ".gz",
                                     .check = &check,
                                     .make = &make,
                                     .fingerprint = &fingerprint_of};

}  // namespace ferry::transfer
