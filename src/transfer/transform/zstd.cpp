// Zstandard (RFC 8878): one frame with a checksum, on one thread.
#include <zstd.h>

#include <vector>

#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

constexpr int kHighestLevel = 19;  // above that it takes hundreds of MiB

class ZstdTransform final : public Transform {
 public:
  explicit ZstdTransform(int level) : context_(::ZSTD_createCCtx(), &::ZSTD_freeCCtx) {
    if (!context_) return;
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level);
    ::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  bool is_ready() const { return context_ != nullptr; }

  Result<void> write(std::span<const std::byte> data, const ByteSink& sink) override {
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    while (in.pos < in.size) {
      if (const auto left = compress(in, ZSTD_e_continue, sink); !left) return left.error();
    }
    return {};
  }

  Result<void> finish(const ByteSink& sink) override {
    ZSTD_inBuffer in{nullptr, 0, 0};
    for (;;) {
      const auto left = compress(in, ZSTD_e_end, sink);
      if (!left) return left.error();
      if (*left == 0) return {};
    }
  }

 private:
  /// Returns how much is left to be flushed.
  Result<std::size_t> compress(ZSTD_inBuffer& in, ZSTD_EndDirective end, const ByteSink& sink) {
    ZSTD_outBuffer out{out_.data(), out_.size(), 0};
    const std::size_t left = ::ZSTD_compressStream2(context_.get(), &out, &in, end);
    if (::ZSTD_isError(left) != 0) {
      return make_error(ErrorKind::kFailed, "zstd: {}", ::ZSTD_getErrorName(left));
    }
    if (out.pos > 0) {
      if (auto taken = sink(std::span(out_).first(out.pos)); !taken) return taken.error();
    }
    return left;
  }

  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
  std::vector<std::byte> out_ = std::vector<std::byte>(::ZSTD_CStreamOutSize());
};

int level_of(const TransformSettings& settings) {
  return settings.level > 0 ? settings.level : ZSTD_CLEVEL_DEFAULT;
}

std::vector<TransformMistake> check(const TransformSettings& settings) {
  if (settings.level <= kHighestLevel) return {};
  return {{"level", fmt::format("zstd knows levels from 1 to {}", kHighestLevel)}};
}

Result<std::unique_ptr<Transform>> make(const TransformSettings& settings, const TransformedFile&,
                                        const StopToken&) {
  auto transform = std::make_unique<ZstdTransform>(level_of(settings));
  if (!transform->is_ready()) return make_error(ErrorKind::kFailed, "zstd: no memory");
  return transform;
}

std::string fingerprint_of(const TransformSettings& settings) {
  return fmt::format("zstd {}", level_of(settings));
}

}  // namespace

extern const TransformType kZstdType{.name = "zstd",
                                     .suffix = ".zst",
                                     .check = &check,
                                     .make = &make,
                                     .fingerprint = &fingerprint_of};

}  // namespace ferry::transfer
