// What all transforms have in common, whatever they make of their input.
#include "transfer/transform/transform.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <zlib.h>
#include <zstd.h>

#include "ferry/base/file.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

const StopToken kNeverStopped;

std::unique_ptr<Transform> make(const TransformSettings& spec) {
  ::signal(SIGPIPE, SIG_IGN);
  auto chain = make_chain({spec}, {.path = "in/a.csv", .id = "id-1"}, kNeverStopped);
  REQUIRE(chain);
  return std::move(*chain);
}

/// Gives INPUT in pieces that end at CUTS.
Result<std::string> run(const TransformSettings& spec, std::string_view input,
                        std::vector<std::size_t> cuts = {}) {
  const auto transform = make(spec);
  std::string output;
  const ByteSink sink = [&](std::span<const std::byte> data) -> Result<void> {
    output.append(reinterpret_cast<const char*>(data.data()), data.size());
    return {};
  };
  cuts.push_back(input.size());
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    const auto piece = as_bytes(input.substr(begin, end - begin));
    if (auto written = transform->write(piece, sink); !written) return written.error();
    begin = end;
  }
  if (auto finished = transform->finish(sink); !finished) return finished.error();
  return output;
}

TransformSettings of_type(std::string_view type) {
  TransformSettings settings;
  settings.name = "it";
  settings.type = find_transform_type(type);
  return settings;
}
TransformSettings gzip(int level = 0) {
  auto settings = of_type("gzip");
  settings.level = level;
  return settings;
}
TransformSettings zstd(int level = 0) {
  auto settings = of_type("zstd");
  settings.level = level;
  return settings;
}
TransformSettings ending(LineEnding ending) {
  auto settings = of_type("line-endings");
  settings.ending = ending;
  return settings;
}
TransformSettings charset(std::string from, std::string to) {
  auto settings = of_type("charset");
  settings.from = std::move(from);
  settings.to = std::move(to);
  return settings;
}
TransformSettings command(std::vector<std::string> argv,
                          std::chrono::milliseconds limit = std::chrono::hours(1)) {
  auto settings = of_type("command");
  settings.command = std::move(argv);
  settings.time_limit = limit;
  return settings;
}
TransformSettings shell(std::string script) {
  return command({"/bin/sh", "-c", std::move(script)}, std::chrono::minutes(1));
}

std::string gunzipped(std::string_view data) {
  z_stream stream{};
  REQUIRE(::inflateInit2(&stream, MAX_WBITS + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  std::string out;
  std::string buffer(1 << 16, '\0');
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    status = ::inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, 0, buffer.size() - stream.avail_out);
  }
  ::inflateEnd(&stream);
  CHECK(status == Z_STREAM_END);
  return out;
}

std::string unzstd(std::string_view data) {
  std::string out(ZSTD_DStreamOutSize(), '\0');
  std::string all;
  ZSTD_DCtx* context = ::ZSTD_createDCtx();
  ZSTD_inBuffer in{data.data(), data.size(), 0};
  std::size_t left = 1;
  while (in.pos < in.size || left != 0) {
    ZSTD_outBuffer buffer{out.data(), out.size(), 0};
    left = ::ZSTD_decompressStream(context, &buffer, &in);
    REQUIRE(::ZSTD_isError(left) == 0);
    all.append(out, 0, buffer.pos);
  }
  ::ZSTD_freeDCtx(context);
  return all;
}

struct Case {
  const char* name;
  TransformSettings transform;
  std::string (*undo)(std::string_view);  // what INPUT's output gives back
  std::string input;
};

std::string as_it_is(std::string_view data) {
  return std::string(data);
}

std::vector<Case> cases() {
  const std::string text = "a\r\nb\nc\r\r\n\xC3\xA4\xE2\x82\xAC\n\r";
  return {
      {"gzip", gzip(), &gunzipped, text},
      {"zstd", zstd(), &unzstd, text},
      {"lf", ending(LineEnding::kLf), &as_it_is, text},
      {"crlf", ending(LineEnding::kCrLf), &as_it_is, text},
      {"charset", charset("UTF-8", "UTF-16LE"), &as_it_is, text},
      {"shift states", charset("ISO-2022-JP", "UTF-8"), &as_it_is,
       "a\x1B$B%\"%#\x1B(Bb\n\x1B$B%$\x1B(B"},
      {"command", shell("cat"), &as_it_is, text},
  };
}

std::string big_input() {
  std::string input;
  for (std::uint64_t i = 0; input.size() < (5U << 20); ++i)
    input += std::to_string(i * 7919) + "\r\n";
  return input;
}

}  // namespace

TEST_CASE("where the input is cut makes no difference") {
  for (const Case& one : cases()) {
    CAPTURE(one.name);
    const auto whole = run(one.transform, one.input);
    REQUIRE(whole);
    const std::string content = one.undo(*whole);
    for (std::size_t cut = 0; cut <= one.input.size(); ++cut) {
      CAPTURE(cut);
      const auto parts = run(one.transform, one.input, {cut});
      REQUIRE(parts);
      CHECK(one.undo(*parts) == content);
    }
    std::vector<std::size_t> everywhere;
    for (std::size_t cut = 1; cut < one.input.size(); ++cut) everywhere.push_back(cut);
    CHECK(one.undo(run(one.transform, one.input, everywhere).value()) == content);
  }
}

TEST_CASE("an empty file goes through") {
  for (const Case& one : cases()) {
    CAPTURE(one.name);
    const auto output = run(one.transform, "");
    REQUIRE(output);
    CHECK(one.undo(*output).empty());
  }
}

TEST_CASE("a large file goes through, and twice the same way") {
  const std::string input = big_input();
  for (const Case& one : cases()) {
    CAPTURE(one.name);
    const auto output = run(one.transform, input, {1'000'000, 1'000'001});
    REQUIRE(output);
    CHECK(!output->empty());
    CHECK(*output == run(one.transform, input, {1'000'000, 1'000'001}).value());
  }
}

TEST_CASE("an error of the one who takes the output ends a transform") {
  const std::string input = big_input();
  for (const Case& one : cases()) {
    CAPTURE(one.name);
    const auto transform = make(one.transform);
    const ByteSink full = [](std::span<const std::byte>) -> Result<void> {
      return make_error(ErrorKind::kIo, "disk full");
    };
    auto outcome = transform->write(as_bytes(input), full);
    if (outcome) outcome = transform->finish(full);
    REQUIRE(!outcome);
    CHECK(outcome.error().kind == ErrorKind::kIo);
    CHECK(outcome.error().message == "disk full");
  }
}

TEST_CASE("gzip and zstd can be undone, and their level shows") {
  const std::string input = big_input();
  const auto fast = run(gzip(1), input).value();
  const auto small = run(gzip(9), input).value();
  CHECK(gunzipped(fast) == input);
  CHECK(gunzipped(small) == input);
  CHECK(small.size() < fast.size());
  INFO("no name, no time: RFC 1952, FLG and MTIME");
  CHECK(small.substr(3, 5) == std::string(5, '\0'));
  CHECK(unzstd(run(zstd(19), input).value()) == input);
  CHECK(run(zstd(19), input)->size() < run(zstd(1), input)->size());
}

TEST_CASE("line endings") {
  const auto lf = ending(LineEnding::kLf);
  const auto crlf = ending(LineEnding::kCrLf);
  CHECK(run(lf, "a\r\nb\nc\rd\r\r\ne\r").value() == "a\nb\nc\rd\r\ne\r");
  CHECK(run(crlf, "a\r\nb\nc\rd\r\r\ne\r").value() == "a\r\nb\r\nc\rd\r\r\ne\r");
}

TEST_CASE("charsets: what cannot be converted fails, and tells where") {
  CHECK(run(charset("ISO-8859-15", "UTF-8"), "\xA4\n").value() == "\xE2\x82\xAC\n");
  const auto bad = run(charset("UTF-8", "ISO-8859-1"), "ab\xE2\x82\xAC");
  REQUIRE(!bad);
  CHECK(bad.error().kind == ErrorKind::kFailed);
  CHECK(bad.error().message.find("transform it: byte 2 cannot be converted") == 0);
  CHECK(run(charset("UTF-8", "ASCII//TRANSLIT"), "\xE2\x82\xAC").value() == "EUR");
  const auto torn = run(charset("UTF-8", "UTF-16"), "a\xE2\x82");
  REQUIRE(!torn);
  CHECK(torn.error().message.find("ends within a character") != std::string::npos);
}

TEST_CASE("a command is told which file it is, and its failure what it said") {
  CHECK(run(shell("echo $FERRY_ID $FERRY_PATH; cat"), "x").value() == "id-1 in/a.csv\nx");
  const auto failed = run(shell("cat; echo no such customer >&2; exit 3"), "x");
  REQUIRE(!failed);
  CHECK(failed.error().kind == ErrorKind::kFailed);
  CHECK(failed.error().message == "transform it: /bin/sh: exit status 3: no such customer");
  const auto later = run(shell("exit 75"), big_input());
  REQUIRE(!later);
  CHECK(later.error().kind == ErrorKind::kBusy);
  CHECK(is_retryable(later.error().kind));
}

TEST_CASE("a command need not read all of its input") {
  CHECK(run(shell("head -n 1"), big_input()).value() == "0\r\n");
}

TEST_CASE("a command that takes too long, or is not there") {
  const auto slow = run(command({"sleep", "300"}, std::chrono::milliseconds(100)), "x");
  REQUIRE(!slow);
  CHECK(slow.error().message.find("ran longer than 0.1 s") != std::string::npos);
  const auto chain = make_chain({command({"/no/such/program"}, std::chrono::seconds(1))},
                                {.path = "a", .id = "i"}, kNeverStopped);
  REQUIRE(!chain);
  CHECK(chain.error().kind == ErrorKind::kFailed);
}

TEST_CASE("a stop ends a command") {
  StopToken stop;
  auto filter = make_chain({command({"sleep", "300"})}, {.path = "a", .id = "i"}, stop);
  REQUIRE(filter);
  stop.request_stop();
  const auto finished = (*filter)->finish([](auto) -> Result<void> { return {}; });
  REQUIRE(!finished);
  CHECK(finished.error().kind == ErrorKind::kCancelled);
}

TEST_CASE("transforms compose in their order") {
  const std::vector<TransformSettings> specs = {
      charset("ISO-8859-1", "UTF-8"), ending(LineEnding::kLf), shell("tr a-z A-Z"), gzip()};
  auto chain = make_chain(specs, {.path = "a", .id = "i"}, kNeverStopped);
  REQUIRE(chain);
  std::string output;
  const ByteSink sink = [&](std::span<const std::byte> data) -> Result<void> {
    output.append(reinterpret_cast<const char*>(data.data()), data.size());
    return {};
  };
  REQUIRE((*chain)->write(as_bytes("caf\xE9\r\n"), sink));
  REQUIRE((*chain)->finish(sink));
  CHECK(gunzipped(output) == "CAF\xC3\xA9\n");
}

TEST_CASE("the fingerprint of a chain changes with whatever changes its output") {
  const auto print = [](TransformSettings one) { return fingerprint({std::move(one)}); };
  CHECK(print(gzip(6)) == print(gzip(6)));
  CHECK(print(gzip(6)) == print(gzip()));
  CHECK(print(gzip(6)) != print(gzip(7)));
  CHECK(print(gzip(6)) != print(zstd(6)));
  CHECK(print(command({"a", "b c"})) != print(command({"a", "b", "c"})));
  CHECK(print(command({"/bin/sh"})).find('@') != std::string::npos);
}
