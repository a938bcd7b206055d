#include "sftp/ssh/known_hosts.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "sftp/openssh_server.h"
#include "sftp/ssh/base64.h"

using namespace ferry;
using namespace ferry::sftp;
using namespace ferry::sftp::testing;

namespace {

std::string field(std::string_view text) {
  return std::string{'\0', '\0', '\0', static_cast<char>(text.size())} + std::string(text);
}

// Blobs with the right type inside; nothing here looks at the key proper.
const std::string kEd = field("ssh-ed25519") + field("one");
const std::string kOtherEd = field("ssh-ed25519") + field("two");
const std::string kRsa = field("ssh-rsa") + field("three");

std::string line(std::string_view hosts, const std::string& key) {
  return fmt::format("{} {} {}\n", hosts, key_type_of(key), base64_encode(key));
}

HostKeyStatus status(const std::string& text, std::string_view host, std::uint16_t port = 22,
                     const std::string& key = kEd) {
  return look_up(parse_known_hosts(text, "/kh"), host, port, key).status;
}

}  // namespace

TEST_CASE("a host matches by its name, in any case") {
  CHECK(status(line("b.example", kEd), "b.example") == HostKeyStatus::kMatch);
  CHECK(status(line("B.Example", kEd), "b.eXample") == HostKeyStatus::kMatch);
  CHECK(status(line("b.example", kEd), "c.example") == HostKeyStatus::kUnknown);
  CHECK(status(line("a,b,c", kEd), "b") == HostKeyStatus::kMatch);
  CHECK(status("", "b") == HostKeyStatus::kUnknown);
}

TEST_CASE("wildcards stand for characters, and negation wins wherever it stands") {
  CHECK(status(line("*.example", kEd), "b.example") == HostKeyStatus::kMatch);
  CHECK(status(line("*.example", kEd), "example") == HostKeyStatus::kUnknown);
  CHECK(status(line("b?.example", kEd), "b1.example") == HostKeyStatus::kMatch);
  CHECK(status(line("b?.example", kEd), "b.example") == HostKeyStatus::kUnknown);
  CHECK(status(line("*a*b*c", kEd), "xxaxxbxbxxc") == HostKeyStatus::kMatch);
  CHECK(status(line("*a*b*c", kEd), "xxaxxbxbxx") == HostKeyStatus::kUnknown);
  CHECK(status(line("!bad.example,*.example", kEd), "bad.example") == HostKeyStatus::kUnknown);
  CHECK(status(line("*.example,!bad.example", kEd), "bad.example") == HostKeyStatus::kUnknown);
  CHECK(status(line("*.example,!bad.example", kEd), "good.example") == HostKeyStatus::kMatch);
}

TEST_CASE("another port than 22 is part of the name") {
  CHECK(status(line("[b]:2222", kEd), "b", 2222) == HostKeyStatus::kMatch);
  CHECK(status(line("[b]:2222", kEd), "b", 22) == HostKeyStatus::kUnknown);
  CHECK(status(line("[b]:2222", kEd), "b", 2223) == HostKeyStatus::kUnknown);
}

TEST_CASE("a line for the bare name serves other ports to accept or revoke, not to reject") {
  CHECK(status(line("b", kEd), "b", 2222) == HostKeyStatus::kMatch);
  CHECK(status(line("b", kOtherEd), "b", 2222) == HostKeyStatus::kUnknown);
  CHECK(status("@revoked " + line("b", kEd), "b", 2222) == HostKeyStatus::kRevoked);
  CHECK(status(line("[b]:2222", kOtherEd) + line("b", kEd), "b", 2222) == HostKeyStatus::kChanged);
}

TEST_CASE("another key of the same type means that the key changed, with file and line") {
  const std::string text = "# comment\n\n" + line("b", kOtherEd);
  const auto found = look_up(parse_known_hosts(text, "/home/a/kh"), "b", 22, kEd);
  CHECK(found.status == HostKeyStatus::kChanged);
  REQUIRE(found.known.has_value());
  CHECK(found.known->file == "/home/a/kh");
  CHECK(found.known->line == 3);
  CHECK(found.known->key == kOtherEd);
}

TEST_CASE("one matching line is enough") {
  CHECK(status(line("b", kOtherEd) + line("b", kEd), "b") == HostKeyStatus::kMatch);
  CHECK(status(line("b", kEd) + line("b", kOtherEd), "b") == HostKeyStatus::kMatch);
}

TEST_CASE("a host that is known with keys of other types only is not unknown") {
  CHECK(status(line("b", kRsa), "b") == HostKeyStatus::kOtherType);
  CHECK(status(line("b", kRsa) + line("b", kOtherEd), "b") == HostKeyStatus::kChanged);
  CHECK(status(line("b", kOtherEd) + line("b", kRsa), "b") == HostKeyStatus::kChanged);
}

TEST_CASE("a revoked key is refused even where another line allows it") {
  const std::string revoked = "@revoked " + line("*", kEd);
  CHECK(status(line("b", kEd) + revoked, "b") == HostKeyStatus::kRevoked);
  CHECK(status(revoked + line("b", kEd), "b") == HostKeyStatus::kRevoked);
  CHECK(status(revoked + line("b", kOtherEd), "b", 22, kOtherEd) == HostKeyStatus::kMatch);
  CHECK(status(revoked, "b", 22, kOtherEd) == HostKeyStatus::kUnknown);
}

TEST_CASE("authorities, comments and lines that make no sense are left out") {
  CHECK(status("@cert-authority " + line("b", kEd), "b") == HostKeyStatus::kUnknown);
  CHECK(status("@what " + line("b", kEd), "b") == HostKeyStatus::kUnknown);
  CHECK(status("#" + line("b", kEd), "b") == HostKeyStatus::kUnknown);
  CHECK(status("b\nb ssh-ed25519\nb ssh-ed25519 !!!!\nb ssh-rsa " + base64_encode(kEd) + "\n",
               "b") == HostKeyStatus::kUnknown);
  CHECK(status("junk\n  \t" + line("b", kEd), "b") == HostKeyStatus::kMatch);
  const std::string with_comment = "b\tssh-ed25519\t" + base64_encode(kEd) + " a comment\r\n";
  CHECK(status(with_comment, "b") == HostKeyStatus::kMatch);
  CHECK(status("b ssh-ed25519 " + base64_encode(kEd), "b") == HostKeyStatus::kMatch);
}

TEST_CASE("hashed names made by ssh-keygen -H are found") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "kh";
  generate_key(folder.path() / "key", "ed25519");
  const std::string public_key = slurp(folder.path() / "key.pub");
  std::ofstream(file.native()) << "b.example " << public_key << "[c.example]:2222 " << public_key;
  run_program({"ssh-keygen", "-q", "-H", "-f", file.native()});
  const std::string text = slurp(file);
  REQUIRE(text.starts_with("|1|"));

  const auto known = parse_known_hosts(text, file);
  REQUIRE(known.size() == 2);
  CHECK(look_up(known, "B.example", 22, known[0].key).status == HostKeyStatus::kMatch);
  CHECK(look_up(known, "c.example", 2222, known[0].key).status == HostKeyStatus::kMatch);
  CHECK(look_up(known, "c.example", 22, known[0].key).status == HostKeyStatus::kUnknown);
}

TEST_CASE("the known key types come in the order of the files") {
  const auto known =
      parse_known_hosts(line("b", kRsa) + line("x", kEd) + "@revoked " + line("b", kOtherEd) +
                            line("b", kRsa) + line("[b]:7", kEd),
                        "/kh");
  CHECK(known_key_types(known, "b", 22) == std::vector<std::string>{"ssh-rsa"});
  CHECK(known_key_types(known, "b", 7) == std::vector<std::string>{"ssh-ed25519"});
  CHECK(known_key_types(known, "b", 8) == std::vector<std::string>{"ssh-rsa"});
  CHECK(known_key_types(known, "z", 22).empty());
}

TEST_CASE("the fingerprint is the one that ssh-keygen prints") {
  const TemporaryDirectory folder;
  generate_key(folder.path() / "key", "ed25519");
  const std::string listing = (folder.path() / "listing").native();
  run_program({"ssh-keygen", "-l", "-f", (folder.path() / "key").native()}, listing);
  const auto known = parse_known_hosts("h " + slurp(folder.path() / "key.pub"), "/kh");
  REQUIRE(known.size() == 1);
  CHECK(slurp(listing).find(" " + fingerprint(known[0].key) + " ") != std::string::npos);
}

TEST_CASE("a new host is appended to a file that only its owner can read") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "ssh" / "kh";
  REQUIRE(add_known_host(file, "b", 22, kEd).has_value());
  REQUIRE(add_known_host(file, "c", 2222, kRsa).has_value());
  REQUIRE(add_known_host(file, "b", 22, kEd).has_value());  // is there already
  CHECK(slurp(file) == line("b", kEd) + line("[c]:2222", kRsa));

  struct stat status{};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  REQUIRE(::stat(file.parent_path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("a last line without its newline is not glued to the new one") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "kh";
  std::ofstream(file.native()) << "# no newline";
  REQUIRE(add_known_host(file, "b", 22, kEd).has_value());
  CHECK(slurp(file) == "# no newline\n" + line("b", kEd));
}

TEST_CASE("a key is never added beside another one for the same host") {
  const TemporaryDirectory folder;
  const fs::path file = folder.path() / "kh";
  std::ofstream(file.native()) << line("b", kOtherEd);
  const auto added = add_known_host(file, "b", 22, kEd);
  REQUIRE_FALSE(added.has_value());
  CHECK(added.error().kind == ErrorKind::kRefused);
  CHECK(slurp(file) == line("b", kOtherEd));
}

TEST_CASE("base64 that is not whole is no base64") {
  CHECK(base64_decode("Zm9v") == "foo");
  CHECK(base64_decode("Zm8=") == "fo");
  CHECK(base64_decode("Zg==") == "f");
  CHECK(base64_decode("") == "");
  for (const char* text :
       {"Zg=", "Zg", "Z===", "====", "Zm9v=", "Z=9v", "Zm9\n", "Zm 9", "Zg==Zg=="})
    CHECK_FALSE(base64_decode(text).has_value());
  CHECK(base64_encode("fo") == "Zm8=");
}

TEST_CASE("a key blob that lies about its length has no type") {
  CHECK(key_type_of("") == "");
  CHECK(key_type_of(std::string_view("\0\0\0", 3)) == "");
  CHECK(key_type_of(std::string_view("\0\0\0\5abcd", 8)) == "");
  CHECK(key_type_of(std::string_view("\xff\xff\xff\xff"
                                     "abcd",
                                     8)) == "");
  CHECK(key_type_of(std::string_view("\0\0\0\4abcd", 8)) == "abcd");
}
