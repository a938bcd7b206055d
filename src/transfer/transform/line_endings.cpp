// Lines that end with LF, or with CR LF. A CR that no LF follows stays what it is.
#include <algorithm>
#include <vector>

#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

constexpr std::byte kCr{'\r'};
constexpr std::byte kLf{'\n'};

class LineEndingsTransform final : public Transform {
 public:
  explicit LineEndingsTransform(LineEnding ending) : wants_cr_(ending == LineEnding::kCrLf) {}

  Result<void> write(std::span<const std::byte> data, const ByteSink& sink) override {
    constexpr std::size_t kPieceBytes = 64 * 1024;
    while (!data.empty()) {
      const auto piece = data.first(std::min(data.size(), kPieceBytes));
      data = data.subspan(piece.size());
      out_.clear();
      for (const std::byte byte : piece) put(byte);
      if (out_.empty()) continue;
      if (auto taken = sink(out_); !taken) return taken;
    }
    return {};
  }

  Result<void> finish(const ByteSink& sink) override {
    if (!held_cr_) return {};
    return sink(std::span(&kCr, 1));
  }

 private:
  /// A CR waits for what follows it.
  void put(std::byte byte) {
    if (byte == kLf) {
      if (wants_cr_) out_.push_back(kCr);
      out_.push_back(kLf);
      held_cr_ = false;
      return;
    }
    if (held_cr_) out_.push_back(kCr);
    held_cr_ = byte == kCr;
    if (!held_cr_) out_.push_back(byte);
  }

  const bool wants_cr_;
  bool held_cr_ = false;
  std::vector<std::byte> out_;
};

std::vector<TransformMistake> check(const TransformSettings&) {
  return {};
}

Result<std::unique_ptr<Transform>> make(const TransformSettings& settings, const TransformedFile&,
                                        const StopToken&) {
  return std::make_unique<LineEndingsTransform>(settings.ending);
}

std::string fingerprint_of(const TransformSettings& settings) {
  return fmt::format("line-endings {}", static_cast<int>(settings.ending));
}

}  // namespace

extern const TransformType kLineEndingsType{.name = "line-endings",
                                            .suffix = "",
                                            .check = &check,
                                            .make = &make,
                                            .fingerprint = &fingerprint_of};

}  // namespace ferry::transfer
