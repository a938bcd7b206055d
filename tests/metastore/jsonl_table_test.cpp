#include "metastore/jsonl_table.h"

#include <sys/resource.h>

#include <csignal>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::exit_code;
using testing::in_child;
using testing::must;

class TableFixture : public testing::StoreFixture {
 public:
  TableFixture() { must(make_directories(directory())); }

  JsonlTable table() const { return {"t", file("t.jsonl"), file("damaged")}; }

  static std::vector<std::string> read(JsonlTable& table) {
    std::vector<std::string> lines;
    must(table.read_new([&](std::string_view line, std::uint64_t number) {
      lines.push_back(std::to_string(number) + ":" + std::string(line));
    }));
    return lines;
  }
  static std::vector<std::string> follow_and_read(JsonlTable& table) {
    must(table.follow());
    return read(table);
  }
  std::size_t fragments() const {
    if (!exists("damaged")) return 0;
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(file("damaged")), fs::directory_iterator()));
  }
};

using Lines = std::vector<std::string>;

TEST_CASE_FIXTURE(TableFixture, "a reader takes whole lines, each once") {
  JsonlTable reader = table();
  CHECK(follow_and_read(reader) == Lines{});
  write("t.jsonl", "a\nb\nhal");
  CHECK(follow_and_read(reader) == Lines{"1:a", "2:b"});
  add("t.jsonl", "f\n");
  CHECK(follow_and_read(reader) == Lines{"3:half"});
  CHECK(follow_and_read(reader) == Lines{});
}

TEST_CASE_FIXTURE(TableFixture, "a reader may stop before the end") {
  write("t.jsonl", "a\nbc\nd\n");
  JsonlTable reader = table();
  must(reader.follow());
  for (const std::uint64_t end : {1, 2, 4}) {  // only the second is a line's
    must(reader.read_until(end, [](std::string_view line, std::uint64_t) { CHECK(line == "a"); }));
    CHECK(reader.offset() == (end == 1 ? 0 : 2));
  }
  CHECK(read(reader) == Lines{"2:bc", "3:d"});
}

TEST_CASE_FIXTURE(TableFixture, "lines longer than a block are read") {
  const std::string longer(3 << 20, 'x');
  write("t.jsonl", "a\n" + longer + "\nb\n");
  JsonlTable reader = table();
  CHECK(follow_and_read(reader) == Lines{"1:a", "2:" + longer, "3:b"});
}

TEST_CASE_FIXTURE(TableFixture, "a reader follows a table that was replaced") {
  write("t.jsonl", "a\nb\n");
  JsonlTable reader = table();
  CHECK(follow_and_read(reader) == Lines{"1:a", "2:b"});
  must(replace_file(file("t.jsonl"), "c\nd\ne\n"));
  CHECK(must(reader.follow()));
  CHECK(read(reader) == Lines{"1:c", "2:d", "3:e"});
}

TEST_CASE_FIXTURE(TableFixture, "a reader notices a table that was cut or rewritten in place") {
  write("t.jsonl", "a\nb\n");
  JsonlTable reader = table();
  CHECK(follow_and_read(reader) == Lines{"1:a", "2:b"});
  write("t.jsonl", "c\n");
  CHECK(must(reader.follow()));
  CHECK(read(reader) == Lines{"1:c"});
  write("t.jsonl", "longer\n");
  CHECK(must(reader.follow()));
  CHECK(read(reader) == Lines{"1:longer"});
  fs::remove(file("t.jsonl"));
  CHECK(must(reader.follow()));
  CHECK(read(reader) == Lines{});
}

TEST_CASE_FIXTURE(TableFixture, "what a table appended it does not read again, others do") {
  JsonlTable writer = table();
  must(writer.follow());
  must(writer.append("a\nb\n", 2));
  CHECK(follow_and_read(writer) == Lines{});
  add("t.jsonl", "c\n");
  CHECK(follow_and_read(writer) == Lines{"3:c"});
  JsonlTable reader = table();
  CHECK(follow_and_read(reader) == Lines{"1:a", "2:b", "3:c"});
}

TEST_CASE_FIXTURE(TableFixture, "a torn tail is cut off and kept aside") {
  write("t.jsonl", "a\ntorn");
  JsonlTable writer = table();
  CHECK(follow_and_read(writer) == Lines{"1:a"});
  must(writer.mend_tail([](auto) { return false; }));
  CHECK(content("t.jsonl") == "a\n");
  REQUIRE(fragments() == 1);
  CHECK(must(read_file(fs::directory_iterator(file("damaged"))->path())) == "torn");
  must(writer.append("b\n", 1));
  CHECK(content("t.jsonl") == "a\nb\n");
}

TEST_CASE_FIXTURE(TableFixture, "a last line that lacks only its end gets it") {
  write("t.jsonl", "a\nwhole");
  JsonlTable writer = table();
  CHECK(follow_and_read(writer) == Lines{"1:a"});
  must(writer.mend_tail([](std::string_view line) { return line == "whole"; }));
  CHECK(read(writer) == Lines{"2:whole"});
  CHECK(content("t.jsonl") == "a\nwhole\n");
  CHECK(fragments() == 0);
}

TEST_CASE_FIXTURE(TableFixture, "a group that does not fit is taken back whole") {
  write("t.jsonl", "a\n");
  const pid_t child = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 5, .rlim_max = 5};
    JsonlTable writer = table();
    if (!writer.follow() || !writer.read_new([](auto, auto) {})) return 2;
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
    const auto written = writer.append("bb\ncc\ndd\n", 3);
    if (written || written.error().kind != ErrorKind::kIo) return 4;
    return writer.append("b\n", 1) ? 0 : 5;
  });
  CHECK(exit_code(child) == 0);
  CHECK(content("t.jsonl") == "a\nb\n");
}

}  // namespace
}  // namespace ferry::metastore
