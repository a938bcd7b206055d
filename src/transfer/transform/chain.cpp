#include "transfer/transform/transform.h"

namespace ferry::transfer {
namespace {

class Chain final : public Transform {
 public:
  void add(std::string name, std::unique_ptr<Transform> transform) {
    links_.push_back({std::move(name), std::move(transform)});
  }

  Result<void> write(std::span<const std::byte> data, const ByteSink& sink) override {
    return write_from(0, data, sink);
  }

  Result<void> finish(const ByteSink& sink) override {
    for (std::size_t i = 0; i < links_.size(); ++i) {
      auto finished = links_[i].transform->finish(
          [&](std::span<const std::byte> data) { return pass_on(i, data, sink); });
      if (!finished) return blame(i, finished.error());
    }
    return {};
  }

 private:
  struct Link {
    std::string name;
    std::unique_ptr<Transform> transform;
  };

  Result<void> write_from(std::size_t i, std::span<const std::byte> data, const ByteSink& sink) {
    if (i == links_.size()) return sink(data);
    auto written = links_[i].transform->write(
        data, [&](std::span<const std::byte> output) { return pass_on(i, output, sink); });
    if (!written) return blame(i, written.error());
    return written;
  }

  /// Errors from further on have their name already.
  Result<void> pass_on(std::size_t i, std::span<const std::byte> data, const ByteSink& sink) {
    auto passed = write_from(i + 1, data, sink);
    is_blamed_ = is_blamed_ || !passed;
    return passed;
  }

  Error blame(std::size_t i, const Error& error) {
    if (is_blamed_) return error;
    is_blamed_ = true;
    return error.with_context("transform " + links_[i].name);
  }

  std::vector<Link> links_;
  bool is_blamed_ = false;
};

}  // namespace

Result<std::unique_ptr<Transform>> make_chain(const std::vector<TransformSettings>& transforms,
                                              const TransformedFile& file, const StopToken& stop) {
  auto chain = std::make_unique<Chain>();
  for (const TransformSettings& settings : transforms) {
    auto transform = settings.type->make(settings, file, stop);
    if (!transform) return transform.error().with_context("transform " + settings.name);
    chain->add(settings.name, std::move(*transform));
  }
  return chain;
}

std::string fingerprint(const std::vector<TransformSettings>& transforms) {
  std::string text;
  for (const TransformSettings& settings : transforms) {
    text += settings.type->fingerprint(settings) + "\n";
  }
  return text;
}

}  // namespace ferry::transfer
