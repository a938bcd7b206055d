#include "app/journald.h"

#include <doctest/doctest.h>

using namespace ferry;

TEST_CASE("an event's fields are journal fields of their own") {
  const auto fields = app::journal_fields({log::Level::kWarning,
                                           "registered",
                                           {{"path", "a b"}, {"id", "0193"}, {"size", 7}},
                                           "registered path=\"a b\""});
  CHECK(fields == std::vector<std::string>{"MESSAGE=registered path=\"a b\"", "PRIORITY=4",
                                           "SYSLOG_IDENTIFIER=ferry", "FERRY_EVENT=registered",
                                           "FERRY_PATH=a b", "FERRY_FILE_ID=0193", "FERRY_SIZE=7"});
}
