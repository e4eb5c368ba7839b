// tenon client: asks a server.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/json_writer.h"
#include "base/status_macros.h"
#include "serve/rest/base64.h"
#include "tensor/npy.h"
#include "tensor/npz.h"
#include "tools/commands.h"
#include "tools/http_client.h"

namespace tenon::tools {
namespace {

using base::JsonWriter;
using Clock = std::chrono::steady_clock;

void WriteNested(JsonWriter& json, const Literal& value, std::size_t dim, std::int64_t& at) {
  if (dim < value.dims().size()) {
    json.Array();
    for (std::int64_t i = 0; i < value.dims()[dim]; ++i) WriteNested(json, value, dim + 1, at);
    json.End();
    return;
  }
  if (value.dtype() == DType::kString)
    json.String(value.strings()[static_cast<std::size_t>(at)]);
  else if (value.dtype() == DType::kBool)
    json.Bool(value.at(at) != 0);
  else if (value.dtype() == DType::kI64)
    json.Number(value.data<std::int64_t>()[static_cast<std::size_t>(at)]);
  else if (value.dtype() == DType::kU64)
    json.Number(value.data<std::uint64_t>()[static_cast<std::size_t>(at)]);
  else if (is_float(value.dtype()))
    json.Number(value.dtype() == DType::kF64 ? value.at(at) : static_cast<double>(static_cast<float>(value.at(at))));
  else
    json.Number(static_cast<std::int64_t>(value.at(at)));
  ++at;
}

/// What BodyOf would have to leave out.
Status CheckBody(const ClientOptions& o) {
  const bool whole = o.inputs.ends_with(".json");
  if (whole && !o.signature.empty())
    return Status(Code::kInvalidArgument,
                  "--signature: a .json file is sent as it is; write \"signature_name\" into it instead");
  if (!whole && o.method != "predict")
    return Status(Code::kInvalidArgument, "--method " + o.method + ": expected a .json file with \"examples\"");
  return {};
}

/// The body of a predict request: the file as it is (.json), as tensors (.npy, .npz) or as bytes of one string input.
Result<std::string> BodyOf(const ClientOptions& o) {
  const auto ends = [&](std::string_view end) { return o.inputs.ends_with(end); };
  if (ends(".json")) return base::ReadFile(o.inputs);
  JsonWriter json({.nan_tokens = true});
  json.Object();
  if (!o.signature.empty()) json.Key("signature_name").String(o.signature);
  if (ends(".npy")) {
    TENON_ASSIGN_OR_RETURN(const Literal value, npy::ReadNpy(o.inputs));
    std::int64_t at = 0;
    json.Key("inputs");
    WriteNested(json, value, 0, at);
  } else if (ends(".npz")) {
    const Result<std::map<std::string, Literal>> arrays = npy::ReadNpz(o.inputs);
    if (!arrays.ok()) return arrays.status();
    json.Key("inputs").Object();
    for (const auto& [name, value] : *arrays) {
      std::int64_t at = 0;
      json.Key(name);
      WriteNested(json, value, 0, at);
    }
    json.End();
  } else {
    TENON_ASSIGN_OR_RETURN(const std::string bytes, base::ReadFile(o.inputs));
    std::string text;
    serve::Base64Encode(bytes, text);
    json.Key("instances").Array().Object().Key("b64").String(text).End().End();
  }
  json.End();
  return std::move(json).Take();
}

std::string PathOf(const ClientOptions& o) {
  std::string path = "/v1/models/" + o.model;
  if (o.version >= 0) path += "/versions/" + std::to_string(o.version);
  if (!o.label.empty()) path += "/labels/" + o.label;
  return path;
}

int Show(const Result<HttpReply>& reply) {
  if (!reply.ok()) return Fail("client", reply.status());
  std::cout << reply->body << (reply->body.ends_with('\n') ? "" : "\n");
  if (reply->status == 200) return kDone;
  std::cerr << "tenon client: the server answers with status " << reply->status << '\n';
  return kFailed;
}

struct Load {
  std::vector<double> micros;  // of the good answers
  std::size_t failed = 0;
  std::string first_error;
};

/// Each connection sends the next request when the answer to the last one is there.
Load RunLoad(const ClientOptions& o, const HttpUrl& url, const std::string& body) {
  std::mutex mutex;
  Load all;
  std::vector<std::thread> threads;
  const Clock::time_point until =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(o.seconds));
  const std::string target = PathOf(o) + ":" + o.method;
  for (int i = 0; i < o.connections; ++i)
    threads.emplace_back([&] {
      HttpClient client(url, o.timeout, o.token);
      Load mine;
      for (Clock::time_point begun = Clock::now(); begun < until; begun = Clock::now()) {
        const Result<HttpReply> reply = client.Send("POST", target, body);
        if (reply.ok() && reply->status == 200) {
          mine.micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
          continue;
        }
        if (mine.failed++ == 0) mine.first_error = reply.ok() ? reply->body : reply.status().message();
        if (!reply.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      const std::lock_guard lock(mutex);
      all.micros.insert(all.micros.end(), mine.micros.begin(), mine.micros.end());
      all.failed += mine.failed;
      if (all.first_error.empty()) all.first_error = mine.first_error;
    });
  for (std::thread& thread : threads) thread.join();
  std::ranges::sort(all.micros);
  return all;
}

int LoadTest(const ClientOptions& o, const HttpUrl& url, const std::string& body) {
  const Load load = RunLoad(o, url, body);
  const auto at = [&](double q) {
    if (load.micros.empty()) return 0.0;
    return load.micros[std::min(load.micros.size() - 1,
                                static_cast<std::size_t>(q * static_cast<double>(load.micros.size())))];
  };
  double sum = 0;
  for (const double t : load.micros) sum += t;
  const double mean = load.micros.empty() ? 0 : sum / static_cast<double>(load.micros.size());
  const double rate = static_cast<double>(load.micros.size()) / o.seconds;
  if (o.json) {
    JsonWriter json;
    json.Object().Key("requests").Number(load.micros.size()).Key("failed").Number(load.failed);
    json.Key("connections").Number(o.connections).Key("seconds").Number(o.seconds).Key("per_second").Number(rate);
    json.Key("mean_us").Number(mean).Key("p50_us").Number(at(0.5)).Key("p90_us").Number(at(0.9));
    json.Key("p99_us").Number(at(0.99)).Key("p999_us").Number(at(0.999)).Key("max_us").Number(at(1)).End();
    std::cout << std::move(json).Take() << '\n';
  } else {
    std::cout << fmt::format(
        "{} answers in {:g} s over {} connections: {:.0f} a second, {} failed\nlatency us: mean {:.0f}  p50 {:.0f}  "
        "p90 "
        "{:.0f}  p99 {:.0f}  p99.9 {:.0f}  max {:.0f}\n",
        load.micros.size(), o.seconds, o.connections, rate, load.failed, mean, at(0.5), at(0.9), at(0.99), at(0.999),
        at(1));
  }
  if (load.failed > 0) std::cerr << "first failure: " << load.first_error << '\n';
  return load.failed == 0 && !load.micros.empty() ? kDone : kFailed;
}

}  // namespace

int Client(const ClientOptions& o) {
  const Result<HttpUrl> url = ParseHttpUrl(o.url);
  if (!url.ok()) return Fail("client", url.status());
  HttpClient client(*url, o.timeout, o.token);
  if (o.action == "health") return Show(client.Send("GET", "/readyz", ""));
  if (o.action == "status" && o.model.empty()) return Show(client.Send("GET", "/status.json", ""));
  if (o.model.empty()) return Fail("client", Status(Code::kInvalidArgument, o.action + " needs --model"));
  if (o.action == "status") return Show(client.Send("GET", PathOf(o), ""));
  if (o.action == "metadata") return Show(client.Send("GET", PathOf(o) + "/metadata", ""));
  if (o.inputs.empty()) return Fail("client", Status(Code::kInvalidArgument, o.action + " needs --inputs"));
  if (const Status fits = CheckBody(o); !fits.ok()) return Fail("client", fits);
  const Result<std::string> body = BodyOf(o);
  if (!body.ok()) return Fail("client", body.status());
  if (o.action == "load") return LoadTest(o, *url, *body);
  return Show(client.Send("POST", PathOf(o) + ":" + o.method, *body));
}

}  // namespace tenon::tools
