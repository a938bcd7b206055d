#include "transfer/batch/control_name.h"

#include <doctest/doctest.h>

#include "transfer/naming/date_format.h"

using namespace ferry;
using namespace ferry::transfer;

namespace {

Destination destination(const char* control_name) {
  Destination result;
  result.name = "lake";
  if (control_name != nullptr) {
    result.control_name = NameTemplate::for_control_files(control_name).value();
  }
  return result;
}

constexpr const char* kBatch = "01a21991-b01d-708b-91db-ca91572d9a23";

}  // namespace

TEST_CASE("whatever ends like a control file would be taken for one") {
  const Destination plain = destination(nullptr);
  CHECK(is_name_of_control_files(plain, std::string(kBatch) + ".control.json"));
  CHECK(is_name_of_control_files(plain, "report.control.json"));
  CHECK(is_name_of_control_files(plain, "REPORT.Control.JSON"));
  CHECK_FALSE(is_name_of_control_files(plain, "report.control.json.gz"));
  CHECK_FALSE(is_name_of_control_files(plain, "control.json"));
}

TEST_CASE("signatures and parts of control files have their names, too") {
  const Destination plain = destination(nullptr);
  CHECK(is_name_of_control_files(plain, "x.control.json.sig"));
  CHECK(is_name_of_control_files(plain, ".x.control.json.0123456789abcdef.part"));
  CHECK(is_name_of_control_files(plain, ".x.control.json.sig.0123456789abcdef.part"));
  CHECK_FALSE(is_name_of_control_files(plain, ".x.csv.0123456789abcdef.part"));
  CHECK_FALSE(is_name_of_control_files(plain, "x.SHA256SUMS"));
  Destination none = plain;
  none.control = ControlFormat::kNone;
  CHECK_FALSE(is_name_of_control_files(none, "x.control.json"));
}

TEST_CASE("a template's names are told from others") {
  const Destination dated = destination("{date:%Y%m%d}-{batch_id}.json");
  CHECK(is_name_of_control_files(dated, "20261122-" + std::string(kBatch) + ".json"));
  CHECK_FALSE(is_name_of_control_files(dated, "20261122-orders.json"));
  CHECK_FALSE(is_name_of_control_files(dated, "2026-" + std::string(kBatch) + ".json"));
  CHECK_FALSE(is_name_of_control_files(dated, std::string(kBatch) + ".control.json"));

  const Destination by_day = destination("{destination}.{date}.list");
  CHECK(is_name_of_control_files(by_day, "lake.2026-11-22.list"));
  CHECK_FALSE(is_name_of_control_files(by_day, "warehouse.2026-11-22.list"));
  CHECK_FALSE(is_name_of_control_files(by_day, "lake.latest.list"));

  const Destination odd = destination("[{date:%B}]*");
  CHECK(is_name_of_control_files(odd, "[November]*"));
  CHECK_FALSE(is_name_of_control_files(odd, "November"));
}

TEST_CASE("every name that is made is one that is refused") {
  const Timestamp date = parse_timestamp("2026-01-02T03:04:05Z").value();
  for (const char* text : {"{batch_id}", "a{batch_id}.x", "{date:%D}-{batch_id}", "{date:%e%k%P}",
                           "{date:%s}", "{date:%-d.%-m}", "{date:%T%%}{destination}", "{date:%Ey}",
                           "{date:%c}", "{date:%j%u%G%V}", "same"}) {
    CAPTURE(text);
    const Destination named = destination(text);
    const auto name = control_file_name(named, kBatch, date);
    REQUIRE(name);
    CAPTURE(*name);
    CHECK(is_name_of_control_files(named, *name));
  }
}

TEST_CASE("a date's format knows strftime's conversions, and no others") {
  for (const char* format : {"%Y%m%d", "%-d", "%010Y", "%Ey", "100%%", "plain", "%^a", "%s"}) {
    CHECK_MESSAGE(check_date_format(format), format);
  }
  for (const char* format : {"%Q", "%", "%Y%", "%i", "%n", "%t", "%E", "", "%5"}) {
    CHECK_MESSAGE(!check_date_format(format), format);
  }
  CHECK(check_date_format("%Y-%Q").error().message == "%Q is not a conversion of strftime(3)");
}
