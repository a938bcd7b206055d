#include "metastore/jsonl/index/index_comparison.h"

#include "metastore/jsonl/index/text_index.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kMostDifferences = 20;

struct Question {
  const char* what;
  const char* sql;
  bool has_fingerprint = false;
};

constexpr Question kQuestions[] = {
    {"position", "SELECT name, offset, lines, keys FROM source ORDER BY name"},
    {"file",
     "SELECT quote(f.id), l.text, path, state, updated, registered, size, offset, quote(older) "
     "FROM "
     "file f LEFT JOIN name l ON l.id = landing ORDER BY number"},
    {"delivery",
     "SELECT quote(f.id), d.text, status, attempt, date, claimed, file_updated, a.text, b.text, "
     "k.text, bytes, duration, v.offset, quote(v.older) FROM delivery v JOIN file f ON f.number = "
     "v.file LEFT JOIN name d ON d.id = destination LEFT JOIN name a ON a.id = agent LEFT JOIN "
     "name "
     "b ON b.id = batch LEFT JOIN name k ON k.id = error_kind ORDER BY v.file, d.text"},
    {"earlier rows",
     "SELECT quote(f.id), d.text, first, quote(offsets) FROM older o JOIN file f ON f.number = "
     "o.file "
     "LEFT JOIN name d ON d.id = destination ORDER BY o.file, d.text, first"},
    {"sum of deliveries",
     "SELECT d.text, files, bytes, quote(durations), quote(latencies) FROM success LEFT JOIN name "
     "d "
     "ON d.id = destination WHERE files > 0 ORDER BY d.text"},
    {"part of paths", "SELECT quote(term), doc FROM temp.path_part_count"},
    {"orphan", "SELECT quote(id), offset FROM orphan ORDER BY offset"},
    {"damaged row", "SELECT source, line, offset, reason FROM damage ORDER BY source, line"},
    {"standing",
     "SELECT quote(f.id), d.text, standing, status, a.text, error_kind, is_open, is_by_any, "
     "is_due_to_go, s.updated, s.size FROM standing s JOIN class c ON c.id = s.class JOIN "
     "perspective p ON p.id = "
     "c.perspective JOIN file f ON f.number = s.file LEFT JOIN name d ON d.id = destination LEFT "
     "JOIN name a ON a.id = agent WHERE fingerprint = ?1 ORDER BY s.file, d.text, is_due_to_go",
     true},
};

/// Sums that the classes of all perspectives keep, against what they are sums of.
constexpr const char* kWrongSums =
    "SELECT c.id, c.files, c.bytes, count(s.file), total(s.size) FROM class c LEFT JOIN standing s "
    "ON "
    "s.class = c.id GROUP BY c.id HAVING c.files <> count(s.file) OR c.bytes <> total(s.size)";

/// The columns of a row, as one text.
std::string text_of(const Rows& row) {
  std::string text;
  for (int column = 0; column < row.columns(); ++column) {
    text += column == 0 ? "" : " | ";
    text += row.is_null(column) ? "-" : row.text_of_any(column);
  }
  return text;
}

/// Of how many files' paths a part is one.
constexpr const char* kPartCounts =
    "CREATE VIRTUAL TABLE temp.path_part_count USING fts5vocab(main, path_part, row)";

/// The texts of as many files, for that depends on who has searched.
void index_texts_alike(Index& one, Index& other) {
  other.begin_writing();
  TextIndex(other.database()).extend_to(TextIndex(one.database()).last_indexed());
  [[maybe_unused]] const auto kept_by_the_database = other.commit();
  for (Index* index : {&one, &other}) index->database().execute(kPartCounts);
}

Rows ask(Index& index, const Question& question, const std::string& fingerprint) {
  Database& database = index.database();
  return question.has_fingerprint ? database.query(question.sql, std::string_view(fingerprint))
                                  : database.query(question.sql);
}

}  // namespace

std::vector<std::string> compare_indexes(Index& one, Index& other, const std::string& fingerprint) {
  std::vector<std::string> differences;
  index_texts_alike(one, other);
  for (const Question& question : kQuestions) {
    auto row = ask(one, question, fingerprint);
    auto other_row = ask(other, question, fingerprint);
    for (bool more = true; more && differences.size() < kMostDifferences;) {
      const bool has_row = row.next();
      const bool has_other = other_row.next();
      more = has_row && has_other;
      const std::string text = has_row ? text_of(row) : "nothing";
      const std::string other_text = has_other ? text_of(other_row) : "nothing";
      if (text == other_text) continue;
      differences.push_back(fmt::format("{}: {} instead of {}", question.what, text, other_text));
    }
  }
  auto sums = one.database().query(kWrongSums);
  while (sums.next() && differences.size() < kMostDifferences) {
    differences.push_back("sum over a class: " + text_of(sums));
  }
  return differences;
}

}  // namespace ferry::metastore
