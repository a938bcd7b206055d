#include "ferry/metastore/records.h"

#include <doctest/doctest.h>

#include <vector>

namespace ferry::metastore {
namespace {

constexpr const char* kMd5 = "d41d8cd98f00b204e9800998ecf8427e";
constexpr const char* kSha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const std::string kWholeFileRow =
    std::string(R"({"id":"a1","path":"in/x.csv","updated_date":"2026-11-22T13:40:00.123Z",)") +
    R"("checksum":"sha256:)" + kSha256 + R"(","landing":"/srv/in","size":10,"mtime_ns":-5,)" +
    R"("ctime_ns":6,"inode":18446744073709551615,"device":8,"source":"watch","state":"missing",)" +
    R"("reason":"gone \"away\" ü"})";

const std::string kWholeTransferRow =
    std::string(R"({"id":"a1","transfer_status":"failed",)") +
    R"("transfer_date":"2026-11-22T13:40:00.123Z","destination":"b","batch_id":"c","agent":"d",)" +
    R"("attempt":2,"bytes":3,"duration_ms":4,"remote_path":"x.gz","checksum":"md5:)" + kMd5 +
    R"(","error":{"kind":"io","message":"disk\nfull","retryable":true}})";

std::string file_row(const std::string& more) {
  return std::string(R"({"id":"a1","path":"x","updated_date":"2026-11-22","checksum":")") + kMd5 +
         "\"" + more + "}";
}
std::string transfer_row(const std::string& more) {
  return R"({"id":"a1","transfer_status":"successful","transfer_date":"2026-11-22")" + more + "}";
}

std::string reason(const std::string& line) {
  const auto record = parse_file_record(line);
  if (record) return "";
  CHECK(record.error().kind == ErrorKind::kCorrupt);
  return record.error().message;
}
std::string transfer_reason(const std::string& line) {
  const auto record = parse_transfer_record(line);
  return record ? "" : record.error().message;
}

TEST_CASE("a registry row is written as it was read, columns in order") {
  const auto record = parse_file_record(kWholeFileRow);
  REQUIRE(record);
  CHECK(record->identity->inode == UINT64_MAX);
  CHECK(record->identity->mtime_ns == -5);
  CHECK(record->state == FileState::kMissing);
  CHECK(record->source == FileSource::kWatch);
  CHECK(to_line(*record) == kWholeFileRow + "\n");
}

TEST_CASE("a log row is written as it was read, columns in order") {
  const auto record = parse_transfer_record(kWholeTransferRow);
  REQUIRE(record);
  CHECK(record->error->retryable);
  CHECK(record->checksum->algorithm == HashAlgorithm::kMd5);
  CHECK(to_line(*record) == kWholeTransferRow + "\n");
}

TEST_CASE("the first four registry columns are enough") {
  const auto record = parse_file_record(file_row(""));
  REQUIRE(record);
  CHECK(format_timestamp(record->updated_date) == "2026-11-22T00:00:00.000Z");
  CHECK(record->checksum.to_string() == std::string("md5:") + kMd5);
  CHECK(record->state == FileState::kReady);
  CHECK(record->source == FileSource::kImport);
  CHECK(record->landing.empty());
  CHECK_FALSE(record->identity);
}

TEST_CASE("the first three log columns are enough") {
  const auto record = parse_transfer_record(transfer_row(""));
  REQUIRE(record);
  CHECK(record->status == TransferStatus::kSuccessful);
  CHECK(record->attempt == 1);
  CHECK_FALSE(record->error);
}

TEST_CASE("columns come in any order, with any space, and null means absent") {
  const auto record = parse_file_record(
      std::string(" { \"checksum\" : \"") + kSha256 +
      "\" , \"state\":null, \"updated_date\":\"2026-11-22\",\"path\":\"x\",\"id\":\"a\" }\r");
  REQUIRE(record);
  CHECK(record->path == "x");
  CHECK(record->unknown_columns.empty());
}

TEST_CASE("unknown columns survive, whatever they hold") {
  const std::string others = R"(,"owner":"ü","tags":[1,{"path":"y","id":[2]}],"x":null,"f":1.5)";
  const auto record = parse_file_record(file_row(others));
  REQUIRE(record);
  CHECK(record->path == "x");
  CHECK(to_line(*record).find(others + "}\n") != std::string::npos);

  const auto transfer = parse_transfer_record(transfer_row(others));
  REQUIRE(transfer);
  CHECK(to_line(*transfer).find(others + "}\n") != std::string::npos);
}

TEST_CASE("a part of an identity is none, and stays where it was") {
  auto record = parse_file_record(file_row(R"(,"size":12)"));
  REQUIRE(record);
  CHECK_FALSE(record->identity);
  CHECK(to_line(*record).find(R"("size":12)") != std::string::npos);
  record->identity = FileIdentity{.size = 13};
  const std::string line = to_line(*record);
  CHECK(line.find(R"("size":13)") != std::string::npos);
  CHECK(line.find(R"("size":12)") == std::string::npos);
}

TEST_CASE("a path that is not UTF-8 cannot break the table") {
  FileRecord record = *parse_file_record(file_row(""));
  record.path = "a\xFF\n\"b";
  const std::string line = to_line(record);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(parse_file_record(line.substr(0, line.size() - 1)));
}

TEST_CASE("a bad registry row says what is wrong") {
  CHECK(reason("") != "");
  CHECK(reason("[1]") == "the row is not a JSON object");
  CHECK(reason("7") == "the row is not a JSON object");
  CHECK(reason("{\"id\":") == "not valid JSON at byte 7");
  CHECK(reason("{}") == "the row has no id");
  CHECK(reason(R"({"id":"a"})") == "the row has no path");
  CHECK(reason(R"({"id":7})") == "the row has a id that is not a string");
  CHECK(reason(R"({"id":""})") == "the row has an empty id");
  CHECK(reason(file_row(R"(,"state":"odd")")) == "the row has the unknown state 'odd'");
  CHECK(reason(file_row(R"(,"state":[])")) == "the row has a state that is not a string");
  CHECK(reason(file_row(R"(,"size":"1")")) == "the row has a size that is not an integer");
  CHECK(reason(file_row(R"(,"size":1.5)")) == "the row has a size that is not an integer");
  CHECK(reason(file_row(R"(,"size":-1)")) == "the row has a negative size");
  CHECK(reason(file_row(R"(,"mtime_ns":18446744073709551615)")) ==
        "the row has a mtime_ns that is too large");
  CHECK(reason(file_row(R"(,"checksum":"abc")")).find("a bad checksum") != std::string::npos);
  CHECK(reason(file_row(R"(,"updated_date":"yesterday")")).find("a bad updated_date") !=
        std::string::npos);
}

TEST_CASE("a path that leads elsewhere is refused") {
  for (const char* path :
       {"/etc/passwd", "..", "../x", "a/../b", "a/..", "a\\u0000b", "a//b", "a/./b", "./a", "a/"}) {
    CAPTURE(path);
    CHECK(reason(file_row(std::string(R"(,"path":")") + path + "\"")).find("a path '") !=
          std::string::npos);
  }
  for (const char* path : {"..a", "a..", "a/..b/c", "...", "a b", "ü"}) {
    CAPTURE(path);
    CHECK(reason(file_row(std::string(R"(,"path":")") + path + "\"")) == "");
  }
}

TEST_CASE("a column that is nested too deeply is refused, wherever it is") {
  const auto nested = [](int levels, const char* open, const char* close) {
    std::string text;
    for (int i = 0; i < levels; ++i) text += open;
    text += "1";
    for (int i = 0; i < levels; ++i) text += close;
    return text;
  };
  const std::string deep = "the row is nested more than 32 levels deep";
  for (const int levels : {32, 100'000}) {
    CHECK(reason(file_row(",\"own\":" + nested(levels, "[", "]"))) == deep);
    CHECK(reason(file_row(",\"own\":" + nested(levels, "{\"a\":", "}"))) == deep);
    CHECK(reason(file_row(",\"state\":" + nested(levels, "[", "]"))) == deep);
    CHECK(transfer_reason(transfer_row(",\"error\":" + nested(levels, "{\"a\":", "}"))) == deep);
  }
  const auto record = parse_file_record(file_row(",\"own\":" + nested(31, "[", "]")));
  REQUIRE(record);
  CHECK(to_line(*record).find(nested(31, "[", "]")) != std::string::npos);
}

TEST_CASE("an id fits into the name of a file") {
  const auto with_id = [](const std::string& id) {
    return R"({"path":"x","updated_date":"2026-11-22","checksum":")" + std::string(kMd5) +
           R"(","id":")" + id + "\"}";
  };
  CHECK(reason(with_id("../../../X")) == "the row has an id that is a path");
  CHECK(reason(with_id("..")) == "the row has an id that is a path");
  CHECK(reason(with_id(std::string(201, 'a'))) ==
        "the row has an id that is longer than 200 bytes");
  CHECK(reason(with_id("a\\nb")) == "the row has an id that has control characters");
  for (const char* id : {"a", "a b", "...", "ü", "7:8"}) CHECK(reason(with_id(id)) == "");
  CHECK(
      transfer_reason(R"({"id":"a/b","transfer_status":"failed","transfer_date":"2026-11-22"})") ==
      "the row has an id that is a path");
}

TEST_CASE("a path is no longer than the system's longest") {
  CHECK(reason(file_row(R"(,"path":")" + std::string(4095, 'a') + "\"")) == "");
  const std::string message = reason(file_row(R"(,"path":")" + std::string(4096, 'a') + "\""));
  CHECK(message.ends_with("that is longer than 4095 bytes"));
  CHECK(message.size() < 300);
}

TEST_CASE("a bad log row says what is wrong") {
  CHECK(transfer_reason(R"({"id":"a"})") == "the row has no transfer_status");
  CHECK(transfer_reason(transfer_row(R"(,"transfer_status":"done")")) ==
        "the row has the unknown transfer_status 'done'");
  CHECK(transfer_reason(transfer_row(R"(,"attempt":-1)")) == "the row has a negative attempt");
  CHECK(transfer_reason(transfer_row(R"(,"transfer_date":5)")) ==
        "the row has a transfer_date that is not a string");
}

TEST_CASE("an error of another shape is kept as its message") {
  CHECK(parse_transfer_record(transfer_row(R"(,"error":"full")"))->error->message == "\"full\"");
  CHECK(parse_transfer_record(transfer_row(R"(,"error":{"kind":1})"))->error->kind == "1");
}

TEST_CASE("a row means the same with and without spaces between its tokens") {
  // One space is enough to leave the short way that plain rows take.
  const auto spaced = [](const std::string& line) { return " " + line; };
  const std::string plain = file_row(R"(,"landing":"in","size":0,"mtime_ns":-7,"ctime_ns":8)"
                                     R"(,"inode":123456789012345678,"device":1)");
  std::vector<std::string> lines = {plain, kWholeFileRow};
  for (std::size_t i = 0; i < plain.size(); ++i) {
    lines.push_back(plain.substr(0, i));
    for (const char byte : {'\0', '"', '\\', ',', '0', '-', '}', '{', ' ', '\x7F', '\xC3'}) {
      lines.push_back(plain);
      lines.back()[i] = byte;
    }
  }
  for (const std::string& line : lines) {
    CAPTURE(line);
    const auto one = parse_file_record(line);
    const auto other = parse_file_record(spaced(line));
    REQUIRE(one.has_value() == other.has_value());
    if (one) CHECK(to_line(*one) == to_line(*other));
  }
}

TEST_CASE("no truncation and no flipped bit of a row is taken for a row of another kind") {
  for (std::size_t size = 0; size < kWholeFileRow.size(); ++size) {
    CHECK_FALSE(parse_file_record(kWholeFileRow.substr(0, size)));
  }
  for (std::size_t i = 0; i < kWholeTransferRow.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = kWholeTransferRow;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      if (const auto record = parse_transfer_record(flipped)) {
        CHECK(parse_transfer_record(std::string_view(to_line(*record))));
      }
    }
  }
}

}  // namespace
}  // namespace ferry::metastore
