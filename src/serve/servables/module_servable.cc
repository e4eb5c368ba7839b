#include "serve/servables/module_servable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>

#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "formats/savedmodel/savedmodel.h"
#include "formats/savedmodel/tensor_proto.h"
#include "ir/module.h"
#include "tenon/compile.h"
#include "tenon/formats.h"

namespace tenon::serve {
namespace {

constexpr std::array<std::string_view, 8> kModelExtensions = {".onnx",   ".tenon", ".keras", ".h5",
                                                              ".tflite", ".pt2",   ".pt",    ".safetensors"};
constexpr std::size_t kMaxRelaxed = 8;
constexpr std::int64_t kWarmUpElements = 16 << 20;  // of one input; a larger one is not worth the time

TensorInfo InfoOf(const TensorSpec& spec) {
  TensorInfo info{.alias = spec.name, .tensor_name = spec.name + ":0", .dtype = spec.dtype};
  info.unknown_rank = !spec.rank_known;
  if (spec.rank_known)
    for (const Dim& dim : spec.shape.dims()) info.dims.push_back(dim.try_value().value_or(-1));
  return info;
}

/// What the source file said of a port: "x:0 -1,1", or "x:0 ?" for any rank. The importer leaves it in the function's
/// metadata, because metadata replies show the names and shapes of the file and not what was inferred.
void ApplyDeclared(std::string text, TensorInfo& info) {
  info.is_reference = text.ends_with(" ref");
  if (info.is_reference) text.resize(text.size() - 4);
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return;
  std::vector<std::int64_t> dims;
  const bool unknown_rank = text.substr(space + 1) == "?";
  for (std::size_t at = space + 1; !unknown_rank && at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::int64_t dim = 0;
    if (std::from_chars(text.data() + at, text.data() + comma, dim).ec != std::errc()) return;
    dims.push_back(dim);
    at = comma + 1;
  }
  info.tensor_name = text.substr(0, space);
  info.unknown_rank = unknown_rank;
  info.dims = std::move(dims);
}

/// A default value: a TensorProto as hexadecimal digits. None when it is malformed or of another type.
std::optional<Literal> DefaultOf(const std::string& hex, DType dtype) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    int byte = 0;
    if (std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16).ptr != hex.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  if (bytes.empty()) return std::nullopt;
  savedmodel::TensorProto proto;
  const proto_wire::Place place("default value", bytes);
  if (!savedmodel::ParseTensor(bytes, place, &proto).ok()) return std::nullopt;
  const Result<Literal> literal = savedmodel::LiteralOf(proto, "default value");
  if (!literal.ok() || literal->dtype() != dtype) return std::nullopt;
  return *literal;
}

class ModuleServable : public Servable {
 public:
  ModuleServable(Executable executable, std::vector<Signature> signatures, std::vector<std::string> functions,
                 Relax relax, ModuleServableOptions options)
      : executable_(std::move(executable)),
        signatures_(std::move(signatures)),
        functions_(std::move(functions)),
        relax_(std::move(relax)),
        options_(std::move(options)) {
    const ir::Module& module = *executable_.module().impl();
    for (const std::string& name : functions_)
      if (const ir::Function* f = module.FindFunction(name); f != nullptr && !f->writes.empty()) relax_ = nullptr;
  }

  const std::vector<Signature>& signatures() const override { return signatures_; }

  Result<std::vector<Literal>> Run(const Signature& signature, std::vector<Literal> inputs, std::span<const int> wanted,
                                   Deadline) override {
    const auto at = static_cast<std::size_t>(&signature - signatures_.data());
    const std::shared_ptr<const Executable> relaxed = relax_ ? Relaxed(at, inputs) : nullptr;
    Result<std::vector<Literal>> all =
        (relaxed ? *relaxed : executable_).run_ordered(std::move(inputs), functions_[at]);
    if (!all.ok() || wanted.empty()) return all;
    std::vector<Literal> out;
    for (const int i : wanted) out.push_back((*all)[static_cast<std::size_t>(i)]);
    return out;
  }

  Result<std::vector<Literal>> RunWide(const Signature& signature, std::vector<Literal> inputs,
                                       std::span<const int> wanted) override {
    const auto at = static_cast<std::size_t>(&signature - signatures_.data());
    const ir::Function* function = executable_.module().impl()->FindFunction(functions_[at]);
    if (function == nullptr || !function->writes.empty())
      return Status(Code::kUnimplemented, "signature " + signature.name + " keeps state: it has no run in float64");
    std::call_once(wide_once_, [this] {
      Result<Executable> made = compile(executable_.module(), {.threads = 1, .backend = "ref", .float64 = true});
      if (made.ok()) wide_ = *std::move(made);
    });
    if (!wide_) return Status(Code::kUnimplemented, "the model cannot be compiled in float64");
    Result<std::vector<Literal>> all = wide_->run_ordered(std::move(inputs), functions_[at]);
    if (!all.ok() || wanted.empty()) return all;
    std::vector<Literal> out;
    for (const int i : wanted) out.push_back((*all)[static_cast<std::size_t>(i)]);
    return out;
  }

  void WarmUp() {
    const ir::Module& module = *executable_.module().impl();
    for (std::size_t i = 0; i < signatures_.size(); ++i) {
      const ir::Function* function = module.FindFunction(functions_[i]);
      if (function == nullptr || !function->writes.empty()) continue;  // a run would change the state
      std::optional<std::vector<Literal>> inputs = Zeros(signatures_[i]);
      if (!inputs) continue;
      const auto ran = executable_.run_ordered(*std::move(inputs), functions_[i]);
      // Zeros need not be valid input: what a real request gets is said to that request.
      if (!ran.ok())
        base::Log(base::LogLevel::kDebug,
                  fmt::format("signature {}: warm-up: {}", signatures_[i].name, ran.status().message()));
    }
  }

 private:
  static bool Fits(const TensorInfo& info, const Literal& value) {
    if (info.unknown_rank) return true;
    if (info.dims.size() != value.dims().size()) return false;
    for (std::size_t d = 0; d < info.dims.size(); ++d)
      if (info.dims[d] >= 0 && info.dims[d] != value.dims()[d]) return false;
    return true;
  }

  /// What runs inputs that do not fit the signature; null when they fit, or when nothing can.
  std::shared_ptr<const Executable> Relaxed(std::size_t at, const std::vector<Literal>& inputs) {
    const Signature& signature = signatures_[at];
    bool fits = inputs.size() == signature.inputs.size();
    std::map<std::string, int> ranks;
    for (std::size_t i = 0; i < inputs.size() && i < signature.inputs.size(); ++i) {
      fits = fits && Fits(signature.inputs[i], inputs[i]);
      ranks[signature.inputs[i].alias] = inputs[i].rank();
    }
    if (fits || inputs.size() != signature.inputs.size()) return nullptr;
    const std::lock_guard lock(relaxed_mutex_);
    const auto key = std::make_pair(functions_[at], ranks);
    if (const auto it = relaxed_.find(key); it != relaxed_.end()) return it->second;
    if (relaxed_.size() >= kMaxRelaxed) return nullptr;
    std::shared_ptr<const Executable>& made = relaxed_[key];  // null remembers that it cannot be done
    const Result<Module> module = relax_(functions_[at], ranks);
    if (!module.ok()) return nullptr;
    const Result<Executable> compiled = compile(*module, {.threads = options_.threads, .backend = options_.backend});
    if (compiled.ok()) made = std::make_shared<const Executable>(*compiled);
    return made;
  }

  static std::optional<std::vector<Literal>> Zeros(const Signature& signature) {
    std::vector<Literal> out;
    for (const TensorInfo& info : signature.inputs) {
      if (info.dtype == DType::kString || info.unknown_rank) return std::nullopt;
      std::vector<std::int64_t> dims = info.dims;
      std::ranges::replace(dims, -1, 1);
      const Result<std::int64_t> size = checked_size(dims);
      if (!size.ok() || *size > kWarmUpElements) return std::nullopt;
      out.emplace_back(info.dtype, std::move(dims));
    }
    return out;
  }

  const Executable executable_;
  const std::vector<Signature> signatures_;
  const std::vector<std::string> functions_;  // of the module, one for each signature
  Relax relax_;
  const ModuleServableOptions options_;
  std::once_flag wide_once_;
  std::optional<Executable> wide_;  // in float64, made when it is first asked for
  std::mutex relaxed_mutex_;
  std::map<std::pair<std::string, std::map<std::string, int>>, std::shared_ptr<const Executable>> relaxed_;
};

}  // namespace

Result<std::string> FindModelFile(const std::string& version_path) {
  namespace fs = std::filesystem;
  if (!base::IsFolder(version_path)) return version_path;
  if (base::FileExists(version_path + "/saved_model.pb")) return version_path;
  std::vector<std::string> found, named;
  std::error_code error;
  for (fs::directory_iterator it(version_path, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (std::ranges::find(kModelExtensions, extension) == kModelExtensions.end()) continue;
    found.push_back(it->path().string());
    if (it->path().stem() == "model") named.push_back(found.back());
  }
  if (error) return Status(Code::kUnavailable, fmt::format("{}: cannot be listed: {}", version_path, error.message()));
  if (found.size() == 1) return found[0];
  if (named.size() == 1) return named[0];
  if (found.empty())
    return Status(Code::kNotFound, version_path +
                                       ": no model in it: expected saved_model.pb, or one file such as "
                                       "model.onnx or model.tenon");
  std::ranges::sort(found);
  std::string names;
  for (const std::string& name : found) names += (names.empty() ? "" : ", ") + name;
  return Status(Code::kFailedPrecondition,
                fmt::format("{}: several models in it ({}): keep one, or call it model.*", version_path, names));
}

Result<std::unique_ptr<Servable>> MakeModuleServable(const Module& module, const ModuleServableOptions& options,
                                                     Relax relax) {
  TENON_ASSIGN_OR_RETURN(Executable executable,
                         compile(module, {.threads = options.threads, .backend = options.backend}));
  std::vector<Signature> signatures;
  std::vector<std::string> functions = module.signatures();
  const bool has_default = std::ranges::find(functions, kDefaultSignature) != functions.end();
  for (const std::string& name : functions) {
    TENON_ASSIGN_OR_RETURN(const SignatureSpec spec, module.signature(name));
    Signature s;
    s.name = name;
    const std::map<std::string, std::string>& metadata = module.impl()->FindFunction(name)->metadata;
    const auto declared = [&](const std::string& key) {
      const auto it = metadata.find(key);
      return it == metadata.end() ? std::string() : it->second;
    };
    if (std::string method = declared("method_name"); !method.empty()) s.method_name = std::move(method);
    for (const TensorSpec& input : spec.inputs) {
      s.inputs.push_back(InfoOf(input));
      ApplyDeclared(declared("input." + input.name), s.inputs.back());
      s.inputs.back().default_value = DefaultOf(declared("default." + input.name), input.dtype);
    }
    for (const TensorSpec& output : spec.outputs) {
      s.outputs.push_back(InfoOf(output));
      ApplyDeclared(declared("output." + output.name), s.outputs.back());
    }
    signatures.push_back(std::move(s));
  }
  if (!has_default && functions.size() == 1) {
    signatures.push_back(signatures[0]);
    signatures.back().name = kDefaultSignature;
    functions.push_back(functions[0]);
  }
  for (const auto& [key, value] : module.impl()->metadata) {
    constexpr std::string_view kInternal = "signature.";  // "signature.NAME" = "alias tensor"
    const std::size_t space = value.find(' ');
    if (!key.starts_with(kInternal) || space == std::string::npos) continue;
    Signature s{.name = key.substr(kInternal.size()), .method_name = "", .internal = true};
    s.outputs = {{.alias = value.substr(0, space), .tensor_name = value.substr(space + 1), .unknown_rank = true}};
    signatures.push_back(std::move(s));
    functions.emplace_back();
  }
  auto servable = std::make_unique<ModuleServable>(std::move(executable), std::move(signatures), std::move(functions),
                                                   std::move(relax), options);
  servable->WarmUp();
  return std::unique_ptr<Servable>(std::move(servable));
}

ServableCreator MakeModuleServableCreator(ModuleServableOptions options) {
  return [options = std::move(options)](const ServableId&,
                                        const std::string& path) -> Result<std::unique_ptr<Servable>> {
    TENON_ASSIGN_OR_RETURN(const std::string file, FindModelFile(path));
    if (!base::FileExists(file + "/saved_model.pb")) {
      TENON_ASSIGN_OR_RETURN(const Module module, load(file));
      return MakeModuleServable(module, options);
    }
    const Relax relax = [file, tags = options.tags](const std::string& signature,
                                                    const std::map<std::string, int>& ranks) -> Result<Module> {
      TENON_ASSIGN_OR_RETURN(ir::Module made, savedmodel::LoadSavedModel(
                                                  file, {.tags = tags, .ranks_of = signature, .input_ranks = ranks}));
      return Module(std::make_shared<ir::Module>(std::move(made)));
    };
    TENON_ASSIGN_OR_RETURN(const Module module, options.tags.empty() ? load(file) : relax("", {}));
    return MakeModuleServable(module, options, relax);
  };
}

}  // namespace tenon::serve
