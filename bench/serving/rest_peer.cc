// A REST server with the shape of tensorflow_model_server's: libevent's HTTP loop on one thread and a pool of eight
// behind it, RE2 for the path, RapidJSON's tree of the body, a PredictRequest filled from it, the model of predictor.h,
// and RapidJSON's PrettyWriter with floats printed as the original prints them. Rows of one f32 input only; no metrics,
// no logs, no compression: what the original does besides is left out in its favour.
//
//   rest_peer PORT MODEL
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/thread.h>
#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <re2/re2.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <thread>

#include "predictor.h"

namespace {

namespace api = tensorflow::serving;

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) std::thread([this] { Work(); }).detach();
  }
  void Schedule(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
    }
    ready_.notify_one();
  }

 private:
  void Work() {
    while (true) {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return !queue_.empty(); });
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
    }
  }
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;
};

/// The shape below a value, read down the first elements.
void AddShape(const rapidjson::Value& value, tensorflow::TensorProto& tensor) {
  const rapidjson::Value* v = &value;
  while (v->IsArray()) {
    tensor.mutable_tensor_shape()->add_dim()->set_size(v->Size());
    if (v->Empty()) return;
    v = &(*v)[0];
  }
}

bool AddValues(const rapidjson::Value& value, int level, tensorflow::TensorProto& tensor) {
  if (!value.IsArray()) {
    if (level != tensor.tensor_shape().dim_size() || !value.IsNumber()) return false;
    tensor.add_float_val(static_cast<float>(value.GetDouble()));
    return true;
  }
  if (level >= tensor.tensor_shape().dim_size() || value.Size() != tensor.tensor_shape().dim(level).size())
    return false;
  for (const auto& each : value.GetArray())
    if (!AddValues(each, level + 1, tensor)) return false;
  return true;
}

/// Empty, or what is wrong. `input` is the model's.
std::string Fill(const std::string& body, const std::string& input, api::PredictRequest& request) {
  rapidjson::Document document;
  if (document.Parse < rapidjson::kParseIterativeFlag | rapidjson::kParseNanAndInfFlag |
      rapidjson::kParseStopWhenDoneFlag > (body.c_str()).HasParseError())
    return "JSON Parse error";
  if (!document.IsObject()) return "not an object";
  const auto instances = document.FindMember("instances");
  if (instances == document.MemberEnd() || !instances->value.IsArray() || instances->value.Empty())
    return "no instances";
  tensorflow::TensorProto& tensor = (*request.mutable_inputs())[input];
  tensor.set_dtype(tensorflow::DT_FLOAT);
  AddShape(instances->value, tensor);
  return AddValues(instances->value, 0, tensor) ? "" : "Encountered list at unexpected size";
}

/// %g with six digits, with nine where six do not name the number; a whole number gets ".0".
void WriteFloat(rapidjson::PrettyWriter<rapidjson::StringBuffer>& writer, float value) {
  char text[40];
  int length = std::snprintf(text, sizeof text, "%.6g", static_cast<double>(value));
  if (std::strtof(text, nullptr) != value)
    length = std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  if (std::strpbrk(text, ".en") == nullptr) {
    std::strcat(text, ".0");
    length += 2;
  }
  writer.RawValue(text, static_cast<std::size_t>(length), rapidjson::kNumberType);
}

void WriteRow(rapidjson::PrettyWriter<rapidjson::StringBuffer>& writer, const tensorflow::TensorProto& tensor,
              int level, int& next) {
  if (level == tensor.tensor_shape().dim_size()) return WriteFloat(writer, tensor.float_val(next++));
  writer.StartArray();
  for (std::int64_t i = 0; i < tensor.tensor_shape().dim(level).size(); ++i) WriteRow(writer, tensor, level + 1, next);
  if (level == 0) writer.SetFormatOptions(rapidjson::kFormatDefault);
  writer.EndArray();
}

std::string Json(const api::PredictResponse& reply) {
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
  writer.StartObject();
  writer.Key("predictions");
  writer.SetFormatOptions(rapidjson::kFormatSingleLineArray);
  int next = 0;
  WriteRow(writer, reply.outputs().begin()->second, 0, next);
  writer.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

struct Call {
  evhttp_request* request;
  event_base* loop;
  int code = 200;
  std::string reply;
};

void Send(evutil_socket_t, short, void* argument) {
  const std::unique_ptr<Call> call(static_cast<Call*>(argument));
  evhttp_add_header(evhttp_request_get_output_headers(call->request), "Content-Type", "application/json");
  evhttp_send_reply(call->request, call->code, call->code == 200 ? "OK" : "Bad Request", nullptr);
}

class Server {
 public:
  Server(event_base* loop, const std::string& model) : loop_(loop), predictor_(model) {}
  static void Handle(evhttp_request* request, void* argument) {
    auto* self = static_cast<Server*>(argument);
    self->pool_.Schedule([self, request] { self->Answer(new Call{request, self->loop_, 200, ""}); });
  }

 private:
  void Answer(Call* call) {
    evbuffer* input = evhttp_request_get_input_buffer(call->request);
    std::string body(evbuffer_get_length(input), '\0');
    evbuffer_remove(input, body.data(), body.size());
    api::PredictRequest request;
    api::PredictResponse reply;
    std::string model, version, label, method, wrong = "Malformed request";
    if (RE2::FullMatch(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(call->request)), path_, &model, &version,
                       &label, &method) &&
        method == "predict") {
      const std::shared_ptr<Servable> servable = predictor_.Find(model);
      wrong = servable == nullptr ? "Servable not found" : Fill(body, servable->inputs[0], request);
      request.mutable_model_spec()->set_name(model);
      if (wrong.empty()) wrong = predictor_.Predict(request, reply);
    }
    call->reply = wrong.empty() ? Json(reply) : "{\n    \"error\": \"" + wrong + "\"\n}";
    call->code = wrong.empty() ? 200 : 400;
    evbuffer_add(evhttp_request_get_output_buffer(call->request), call->reply.data(), call->reply.size());
    event_base_once(loop_, -1, EV_TIMEOUT, Send, call, nullptr);
  }

  event_base* loop_;
  Predictor predictor_;
  Pool pool_{8};
  RE2 path_{R"((?i)/v1/models/([^/:]+)(?:/(?:versions/([0-9]+)|labels/([^/:]+)))?:(classify|regress|predict))"};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: rest_peer PORT MODEL\n";
    return 2;
  }
  evthread_use_pthreads();
  event_base* loop = event_base_new();
  evhttp* http = evhttp_new(loop);
  Server server(loop, argv[2]);
  evhttp_set_gencb(http, Server::Handle, &server);
  if (evhttp_bind_socket(http, "127.0.0.1", static_cast<std::uint16_t>(std::atoi(argv[1]))) != 0) return 1;
  std::cout << "ready" << std::endl;
  return event_base_dispatch(loop) < 0 ? 1 : 0;
}
