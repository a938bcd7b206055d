#include "ferry/transfer/name_template.h"

#include <doctest/doctest.h>

using namespace ferry;
using namespace ferry::transfer;

namespace {

const Timestamp kDate = parse_timestamp("2026-11-22T23:59:00Z").value();

Result<std::string> name(std::string_view text, std::string_view path = "in/deep/a b.tar.gz") {
  const auto parsed = NameTemplate::for_files(text);
  if (!parsed) return parsed.error();
  return parsed->render(
      NameTemplate::File{.path = path,
                         .landing = "partners",
                         .id = "id-1",
                         .date = kDate,
                         .mtime = parse_timestamp("2026-11-20T08:00:00Z").value()});
}

Result<std::string> control_name(std::string_view text) {
  const auto parsed = NameTemplate::for_control_files(text);
  if (!parsed) return parsed.error();
  return parsed->render(
      NameTemplate::Batch{.id = "batch", .destination = "sftp://h/d", .date = kDate});
}

}  // namespace

TEST_CASE("a file's name is made from its parts") {
  CHECK(name("{path}").value() == "in/deep/a b.tar.gz");
  CHECK(name("{dir}|{name}").value() == "in/deep|a b.tar.gz");
  CHECK(name("{stem}-{id}{ext}").value() == "a b.tar-id-1.gz");
  CHECK(name("{landing}/{date}/{date:%Y%m%d-%H}").value() == "partners/2026-11-22/20261122-23");
  CHECK(name("{mtime:%Y%m%d}/{mtime}").value() == "20261120/2026-11-20");
  CHECK(name("{{{name}}}").value() == "{a b.tar.gz}");
  CHECK(name("{stem}{ext}", "README").value() == "README");
  CHECK(name("{stem}{ext}", ".profile").value() == ".profile");
}

TEST_CASE("what comes out is a path below the destination's directory, or nothing") {
  CHECK(name("{dir}/x/{name}", "top.csv").value() == "x/top.csv");
  CHECK(name("a//./{name}", "top.csv").value() == "a/top.csv");
  CHECK(name("{ext}", "noext").error().kind == ErrorKind::kAbnormal);
  CHECK(name(".{ext}", "dot.").error().kind == ErrorKind::kAbnormal);
}

TEST_CASE("a change that the registry does not know of makes no name") {
  const auto parsed = NameTemplate::for_files("{mtime:%Y}/{name}").value();
  const auto made =
      parsed.render(NameTemplate::File{.path = "a", .landing = "l", .id = "i", .date = kDate});
  CHECK(made.error().kind == ErrorKind::kAbnormal);
}

TEST_CASE("mistakes in a template are told when it is read") {
  for (const char* text : {"/abs/{name}", "../{name}", "a/../../b", "{nam}", "{name", "name}",
                           "{name:%Y}", "{date:}", "", "{}", "a\nb", "{batch_id}"}) {
    CAPTURE(text);
    CHECK(name(text).error().kind == ErrorKind::kInvalid);
  }
  for (const char* text : {"dir/{batch_id}", "..", "", "{path}"}) {
    CAPTURE(text);
    CHECK(control_name(text).error().kind == ErrorKind::kInvalid);
  }
}

TEST_CASE("a control file's name never has a directory") {
  CHECK(control_name("{batch_id}.control.json").value() == "batch.control.json");
  CHECK(control_name("{date:%Y%m%d}-{destination}").value() == "20261122-sftp:__h_d");
}

TEST_CASE("a template knows its literal end") {
  CHECK(NameTemplate::for_files("{stem}.gz")->ends_with(".gz"));
  CHECK_FALSE(NameTemplate::for_files("{path}")->ends_with(".gz"));
  CHECK_FALSE(NameTemplate::for_files("fixed.csv")->has_variables());
}
