#include "backends/cpu/onednn/primitive.h"

#include <cstring>
#include <string_view>

#include "backends/cpu/onednn/kernels.h"

namespace tenon::cpu::onednn {
namespace {

class PrimitiveStep : public runtime::Step {
 public:
  PrimitiveStep(dnnl::primitive primitive, std::vector<Arg> args, std::string text)
      : primitive_(std::move(primitive)), args_(std::move(args)), text_(std::move(text)) {
    for (const Arg& a : args_) (a.write ? writes : reads).push_back(a.buffer);
  }

  struct State : runtime::StepState {
    std::vector<dnnl::memory> memory;
    std::vector<void*> address;
    std::vector<dnnl_exec_arg_t> exec;
  };
  std::unique_ptr<runtime::StepState> MakeState() const override {
    auto state = std::make_unique<State>();
    for (const Arg& a : args_) {
      state->memory.emplace_back(a.desc, Engine(), nullptr);
      state->address.push_back(nullptr);
      state->exec.push_back({a.arg, state->memory.back().get()});
    }
    return state;
  }

  Status Run(const runtime::StepContext& ctx) const override {
    auto& state = *static_cast<State*>(ctx.state);
    for (std::size_t i = 0; i < args_.size(); ++i) {
      void* address = ctx.buffers[args_[i].buffer];
      if (address == state.address[i]) continue;
      if (dnnl_memory_set_data_handle(state.memory[i].get(), address) != dnnl_success) return Failed("set_data_handle");
      state.address[i] = address;
    }
    if (dnnl_primitive_execute(primitive_.get(), Stream().get(), static_cast<int>(state.exec.size()),
                               state.exec.data()) != dnnl_success)
      return Failed("execute");
    return {};
  }
  std::string Describe() const override { return text_; }

 private:
  Status Failed(const char* what) const {
    return Status(Code::kInternal, "oneDNN: " + std::string(what) + " failed in " + text_);
  }
  dnnl::primitive primitive_;
  std::vector<Arg> args_;
  std::string text_;
};

}  // namespace

const dnnl::engine& Engine() {
  static const auto* const kEngine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *kEngine;
}
dnnl::stream& Stream() {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

Desc Strided(const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& strides) {
  return Desc(dims, dnnl::memory::data_type::f32, strides);
}
Desc Plain(const std::vector<std::int64_t>& dims) {
  std::vector<std::int64_t> strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<std::int64_t>(dims[i], 1);
  return Strided(dims, strides);
}
Desc Any(const std::vector<std::int64_t>& dims) { return Desc(dims, dnnl::memory::data_type::f32, Tag::any); }

std::unique_ptr<runtime::Step> MakePrimitiveStep(dnnl::primitive primitive, std::vector<Arg> args, std::string text) {
  return std::make_unique<PrimitiveStep>(std::move(primitive), std::move(args), std::move(text));
}

dnnl::primitive_attr Attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

bool Acceptable(const char* implementation) { return !std::string_view(implementation).starts_with("ref"); }

std::unique_ptr<runtime::Step> MakeReorderStep(const Desc& from_desc, BufferId from, const Desc& to_desc, BufferId to) {
  const dnnl::reorder::primitive_desc pd(Engine(), from_desc, Engine(), to_desc);
  return MakePrimitiveStep(dnnl::reorder(pd),
                           {{DNNL_ARG_FROM, from_desc, from, false}, {DNNL_ARG_TO, to_desc, to, true}},
                           "reorder " + std::to_string(to_desc.get_size()) + " bytes (" + pd.impl_info_str() + ")");
}

int Sgemm(bool transpose_x, bool transpose_y, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* x, std::int64_t ldx, const float* y, std::int64_t ldy, float beta, float* z, std::int64_t ldz) {
  return dnnl_sgemm(transpose_x ? 'T' : 'N', transpose_y ? 'T' : 'N', m, n, k, alpha, x, ldx, y, ldy, beta, z, ldz) ==
                 dnnl_success
             ? 0
             : 1;
}

BufferId InLayout(PlanBuilder& b, Value v, const Desc& have, const Desc& want) {
  if (have == want) return b.In(v);
  if (const Literal* literal = b.ConstantOf(v)) {
    const auto pack = [&] {
      std::byte* address = nullptr;
      Buffer out;
      if (b.packed() != nullptr) {
        out = b.packed()->Allocate(want.get_size(), &address);
      } else {
        out = Buffer::allocate(want.get_size(), false);
        address = out.mutable_data();
      }
      dnnl::memory from(have, Engine(), const_cast<std::byte*>(literal->raw().data())), to(want, Engine(), address);
      dnnl::reorder(from, to).execute(Stream(), from, to);
      return out;
    };
    if (b.packed() == nullptr) return b.Constant(pack());
    std::string key(reinterpret_cast<const char*>(&have.data), sizeof have.data);
    key.append(reinterpret_cast<const char*>(&want.data), sizeof want.data);
    return b.Constant(b.packed()->Get(literal->buffer(), key, pack));
  }
  const BufferId to = b.Scratch(want.get_size());
  b.Add(MakeReorderStep(have, b.In(v), want, to));
  return to;
}

}  // namespace tenon::cpu::onednn
