#include <sys/stat.h>

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

Result<std::unique_ptr<Transform>> make_one(const TransformSpec& spec, const TransformedFile& file,
                                            const StopToken& stop) {
  if (const auto* gzip = std::get_if<Gzip>(&spec.action)) return make_gzip(*gzip);
  if (const auto* zstd = std::get_if<Zstd>(&spec.action)) return make_zstd(*zstd);
  if (const auto* endings = std::get_if<LineEndings>(&spec.action)) {
    return make_line_endings(*endings);
  }
  if (const auto* charset = std::get_if<Charset>(&spec.action)) return make_charset(*charset);
  return make_filter(std::get<FilterCommand>(spec.action), file, stop);
}

std::string print_of(const Gzip& gzip) {
  return fmt::format("gzip {}", gzip.level);
}
std::string print_of(const Zstd& zstd) {
  return fmt::format("zstd {}", zstd.level);
}
std::string print_of(const LineEndings& endings) {
  return fmt::format("line-endings {}", static_cast<int>(endings.ending));
}
std::string print_of(const Charset& charset) {
  return fmt::format("charset {} {}", charset.from, charset.to);
}
std::string print_of(const FilterCommand& command) {
  std::string text = "command";
  for (const std::string& word : command.argv) {
    text += fmt::format(" {}:{}", word.size(), word);
    struct stat status{};
    if (!word.starts_with('/') || ::stat(word.c_str(), &status) != 0) continue;
    text += fmt::format("@{}.{}.{}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Transform>> make_chain(const std::vector<TransformSpec>& specs,
                                              const TransformedFile& file, const StopToken& stop) {
  auto chain = std::make_unique<Chain>();
  for (const TransformSpec& spec : specs) {
    auto transform = make_one(spec, file, stop);
    if (!transform) return transform.error().with_context("transform " + spec.name);
    chain->add(spec.name, std::move(*transform));
  }
  return chain;
}

std::string fingerprint(const std::vector<TransformSpec>& specs) {
  std::string text;
  for (const TransformSpec& spec : specs) {
    text += std::visit([](const auto& action) { return print_of(action); }, spec.action) + "\n";
  }
  return text;
}

}  // namespace ferry::transfer
