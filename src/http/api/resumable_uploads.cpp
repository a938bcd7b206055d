// tus 1.0 (tus.io/protocols/resumable-upload): core, creation, termination, expiration, checksum.
#include <algorithm>
#include <charconv>
#include <map>

#include "ferry/base/log.h"
#include "ferry/landing/upload.h"
#include "http/api/api.h"
#include "http/api/complete_uploads.h"
#include "http/api/staged_file.h"
#include "http/protocol/base64.h"
#include "http/protocol/digest_field.h"

namespace ferry::http {
namespace {

constexpr const char* kVersion = "1.0.0";
constexpr std::size_t kBlockBytes = 128 * 1024;
constexpr std::uint64_t kKeepEvery = 16 << 20;  // bytes that a crash may cost
constexpr std::size_t kLargestMetadata = 8 * 1024;

/// Each answer names the version.
Answer<Response> speak(Answer<Response> answer) {
  Fields& fields = answer ? answer->fields : answer.error().fields;
  fields.emplace_back("Tus-Resumable", kVersion);
  return answer;
}

Answer<void> check_version(const Request& request) {
  if (request.field("tus-resumable") == kVersion) return {};
  return refuse(412, "invalid", "this service speaks tus 1.0.0 (Tus-Resumable)",
                {{"Tus-Version", kVersion}});
}

Answer<std::uint64_t> parse_number(const Request& request, const char* name) {
  const auto text = request.field(name);
  std::uint64_t number = 0;
  if (text && !text->empty()) {
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    if (error == std::errc{} && rest == end) return number;
  }
  return refuse(400, "invalid", fmt::format("{}: a number of bytes is wanted", name));
}

/// tus wants ASCII; what stands between them is no part of one.
bool is_key(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

/// "name BASE64,name BASE64"; a value may be missing.
Answer<std::map<std::string, std::string>> parse_metadata(std::string_view text) {
  std::map<std::string, std::string> values;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    auto pair = text.substr(start, end - start);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    while (pair.ends_with(' ')) pair.remove_suffix(1);
    start = end + 1;
    const auto space = std::min(pair.find(' '), pair.size());
    auto value = decode_base64(pair.substr(std::min(space + 1, pair.size())));
    const auto key = pair.substr(0, space);
    if (!is_key(key) || !value || !values.emplace(key, *value).second) {
      return refuse(400, "invalid", "Upload-Metadata is malformed");
    }
  }
  return values;
}

Answer<UploadTerms> parse_terms(const Request& request, std::string area, std::string by) {
  if (request.field("upload-defer-length") || request.field("upload-concat")) {
    return refuse(400, "invalid", "an upload's length has to be known, and it is one file");
  }
  const auto length = parse_number(request, "upload-length");
  if (!length) return std::unexpected(length.error());
  UploadTerms terms{.area = std::move(area),
                    .path = {},
                    .by = std::move(by),
                    .length = *length,
                    .metadata = request.field("upload-metadata").value_or(""),
                    .created = now()};
  if (terms.metadata.size() > kLargestMetadata) {
    return refuse(400, "invalid", "Upload-Metadata is too large");
  }
  const auto metadata = parse_metadata(terms.metadata);
  if (!metadata) return std::unexpected(metadata.error());
  for (const char* key : {"path", "filename"}) {
    const auto found = metadata->find(key);
    if (found != metadata->end() && terms.path.empty()) terms.path = found->second;
  }
  if (const auto condition = request.field("if-none-match")) {
    if (*condition != "*") return refuse(400, "invalid", "of If-None-Match only '*' is understood");
    terms.no_clobber = true;
  }
  if (const auto value = request.field("repr-digest")) {
    auto digests = parse_digest_field(*value);
    if (!digests) return std::unexpected(digests.error());
    terms.digests = std::move(*digests);
  }
  return terms;
}

/// What the bytes of one request have to add up to.
Answer<std::optional<Checksum>> parse_checksum(const Request& request) {
  const auto text = request.field("upload-checksum");
  if (!text) return std::optional<Checksum>();
  const std::map<std::string_view, HashAlgorithm> algorithms{{"md5", HashAlgorithm::kMd5},
                                                             {"sha1", HashAlgorithm::kSha1},
                                                             {"sha256", HashAlgorithm::kSha256},
                                                             {"sha512", HashAlgorithm::kSha512}};
  const std::string_view value(*text);
  const auto space = std::min(value.find(' '), value.size());
  const auto algorithm = algorithms.find(value.substr(0, space));
  if (algorithm != algorithms.end()) {
    auto digest = decode_digest(algorithm->second, value.substr(std::min(space + 1, value.size())));
    if (digest) return digest;
  }
  return refuse(400, "invalid", "Upload-Checksum is malformed, or of an unknown algorithm");
}

std::string expiry_of(const Context& context, Timestamp touched) {
  return http_date(touched + context.options.resume_within);
}

std::unexpected<Problem> no_such_upload() {
  return refuse(404, "not_found", "there is no such upload, or it has expired");
}

Answer<StagedUpload> find_upload(const Context& context, const Call& call) {
  auto upload = StagedUpload::find(context.configuration.resumable, call.arguments[1]);
  if (!upload && upload.error().kind != ErrorKind::kNotFound) return refuse_upload(upload.error());
  if (!upload || upload->terms().area != call.arguments[0] || has_expired(context, *upload)) {
    return no_such_upload();
  }
  const auto area = find_area(context, call.grant, upload->terms().area, upload->terms().path);
  if (!area) return std::unexpected(area.error());
  return std::move(*upload);
}

std::unexpected<Problem> refuse_lock(const Error& error) {
  if (error.kind == ErrorKind::kNotFound) return no_such_upload();
  if (error.kind == ErrorKind::kBusy) {
    return refuse(423, "busy", error.message, {{"Retry-After", "1"}});
  }
  return refuse_upload(error);
}

Answer<void> lock(StagedUpload& upload) {
  const auto locked = upload.lock();
  if (!locked) return refuse_lock(locked.error());
  return {};
}

/// With what was received before it failed, unless it has to be all of it.
Answer<void> receive(Call& call, StagedUpload& upload, const std::optional<Checksum>& expected) {
  std::vector<std::byte> block(kBlockBytes);
  Hasher hasher(expected ? expected->algorithm : HashAlgorithm::kSha256);
  GrantCheck grant(call);
  for (;;) {
    const auto count = call.exchange.read(block);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;
    if (auto granted = grant.ask_at_times(); !granted) return granted;
    if (*count > upload.terms().length - upload.written()) {
      return refuse(413, "invalid", "more bytes than the upload was to have (Upload-Length)");
    }
    const auto data = std::span(block).first(*count);
    if (expected) hasher.update(data);
    if (auto written = upload.write(data); !written) return refuse_upload(written.error());
    const bool is_complete = upload.written() == upload.terms().length;
    if (!expected && !is_complete && upload.written() - upload.offset() >= kKeepEvery) {
      if (auto kept = upload.keep_written(); !kept) return refuse_upload(kept.error());
    }
  }
  if (expected && !(hasher.finish() == *expected)) {
    return refuse(460, "abnormal", "the bytes do not have this checksum (Upload-Checksum)");
  }
  return {};
}

/// What comes counts, but not the last of it from somebody who may not upload any more: what is
/// complete becomes a file, even without its client.
Answer<void> take_rest(Call& call, StagedUpload& upload, const std::optional<Checksum>& expected) {
  auto received = receive(call, upload, expected);
  bool is_kept = received || (!expected && received.error().status != 413);
  if (is_kept && upload.written() == upload.terms().length) {
    if (auto granted = call.is_still_granted(); !granted) {
      is_kept = false;
      received = granted;
    }
  }
  if (auto kept = is_kept ? upload.keep_written() : upload.forget_written(); !kept) {
    return refuse_upload(kept.error());
  }
  return received;
}

Response offset_response(const Context& context, const StagedUpload& upload, unsigned status) {
  Response response{status,
                    {{"Upload-Offset", std::to_string(upload.offset())},
                     {"Upload-Expires", expiry_of(context, now())}}};
  if (!upload.landed().empty()) {
    response.fields.emplace_back("Content-Location",
                                 "/v1/files/" + percent_encode(upload.landed()));
  }
  return response;
}

Answer<Response> create(const Context& context, Call& call) {
  if (auto fit = check_version(call.exchange.request()); !fit) return std::unexpected(fit.error());
  auto terms = parse_terms(call.exchange.request(), call.arguments.front(), call.grant.name);
  if (!terms) return std::unexpected(terms.error());
  const auto area = find_area(context, call.grant, terms->area, terms->path);
  if (!area) return std::unexpected(area.error());
  if (auto fit = landing::check_announced((*area)->area, terms->path, terms->length); !fit) {
    return refuse_upload(fit.error());
  }
  if (terms->length > context.options.max_upload) {
    return refuse(413, "invalid", "the file is larger than this service takes (max_upload)");
  }
  if (call.exchange.request().has_body) {
    return refuse(400, "invalid", "an upload is created without bytes");
  }
  if (auto place = context.places.check(call.grant.name); !place) {
    return std::unexpected(place.error());
  }
  const auto id = StagedUpload::create(context.configuration.resumable, *terms);
  if (!id) return refuse_upload(id.error());
  context.places.enter(*id, call.grant.name);
  const std::string url = fmt::format("/v1/uploads/{}/{}", percent_encode(terms->area), *id);
  Response response{201, {{"Location", url}, {"Upload-Expires", expiry_of(context, now())}}};
  if (terms->length > 0) return response;
  auto upload = StagedUpload::find(context.configuration.resumable, *id);
  if (!upload) return refuse_upload(upload.error());
  if (!lock(*upload)) return response;  // it is being finished
  if (auto landed = land(context, *upload, (*area)->area, false); !landed) {
    return std::unexpected(landed.error());
  }
  return response;
}

Answer<void> check_append(const Request& request, const StagedUpload& upload) {
  if (request.field("content-type") != "application/offset+octet-stream") {
    return refuse(415, "invalid", "Content-Type has to be application/offset+octet-stream");
  }
  const auto offset = parse_number(request, "upload-offset");
  if (!offset) return std::unexpected(offset.error());
  if (*offset != upload.offset()) {
    return refuse(409, "failed",
                  fmt::format("the upload goes on at {}, not at {}", upload.offset(), *offset));
  }
  if (request.content_length.value_or(0) > upload.terms().length - upload.offset()) {
    return refuse(413, "invalid", "more bytes than the upload was to have (Upload-Length)");
  }
  return {};
}

Answer<Response> append(const Context& context, Call& call) {
  const Request& request = call.exchange.request();
  if (auto fit = check_version(request); !fit) return std::unexpected(fit.error());
  auto upload = find_upload(context, call);
  if (!upload) return std::unexpected(upload.error());
  const auto area = find_area(context, call.grant, upload->terms().area, upload->terms().path);
  if (!area) return std::unexpected(area.error());
  if (auto locked = lock(*upload); !locked) return std::unexpected(locked.error());
  if (auto fit = check_append(request, *upload); !fit) return std::unexpected(fit.error());
  const auto expected = parse_checksum(request);
  if (!expected) return std::unexpected(expected.error());
  const bool was_complete = upload->is_complete();
  if (upload->landed().empty()) {
    if (auto taken = take_rest(call, *upload, *expected); !taken) {
      return std::unexpected(taken.error());
    }
    if (upload->is_complete()) {
      auto landed = land(context, *upload, (*area)->area, was_complete);
      if (!landed) return std::unexpected(landed.error());
    }
  }
  return offset_response(context, *upload, 204);
}

/// Who hears that all is there takes it for done: so it has to be.
Answer<Response> tell_offset(const Context& context, Call& call) {
  if (auto fit = check_version(call.exchange.request()); !fit) return std::unexpected(fit.error());
  auto upload = find_upload(context, call);
  if (!upload) return std::unexpected(upload.error());
  if (upload->is_complete() && upload->landed().empty()) {
    const auto area = find_area(context, call.grant, upload->terms().area, upload->terms().path);
    if (!area) return std::unexpected(area.error());
    if (auto locked = lock(*upload); !locked) return std::unexpected(locked.error());
    if (upload->landed().empty()) {
      auto landed = land(context, *upload, (*area)->area, true);
      if (!landed) return std::unexpected(landed.error());
    }
  }
  Response response = offset_response(context, *upload, 200);
  response.fields.emplace_back("Upload-Length", std::to_string(upload->terms().length));
  if (!upload->terms().metadata.empty()) {
    response.fields.emplace_back("Upload-Metadata", upload->terms().metadata);
  }
  return response;
}

Answer<Response> drop(const Context& context, Call& call) {
  if (auto fit = check_version(call.exchange.request()); !fit) return std::unexpected(fit.error());
  auto upload = find_upload(context, call);
  if (!upload) return std::unexpected(upload.error());
  const auto locked = upload->lock();
  if (!locked && locked.error().kind != ErrorKind::kNotFound) return refuse_lock(locked.error());
  if (auto removed = remove_upload(context, *upload); !removed)
    return std::unexpected(removed.error());
  return Response{204};
}

}  // namespace

Answer<Response> describe_resumption(const Context& context, Call&) {
  return speak(Response{204,
                        {{"Tus-Version", kVersion},
                         {"Tus-Extension", "creation,termination,expiration,checksum"},
                         {"Tus-Max-Size", std::to_string(context.options.max_upload)},
                         {"Tus-Checksum-Algorithm", "sha1,md5,sha256,sha512"}}});
}

Answer<Response> create_resumable(const Context& context, Call& call) {
  return speak(create(context, call));
}

Answer<Response> get_offset(const Context& context, Call& call) {
  return speak(tell_offset(context, call));
}

Answer<Response> append_to_resumable(const Context& context, Call& call) {
  return speak(append(context, call));
}

Answer<Response> drop_resumable(const Context& context, Call& call) {
  return speak(drop(context, call));
}

}  // namespace ferry::http
