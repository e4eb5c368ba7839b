// Branches and loops -> cond and while_loop, whose bodies are closed graphs.
#include <fmt/format.h>

#include <algorithm>

#include "base/status_macros.h"
#include "formats/savedmodel/fold.h"
#include "formats/savedmodel/lists.h"
#include "formats/savedmodel/translator.h"

namespace tenon::savedmodel {
namespace {

bool HasValue(const Slot& slot) {
  return slot.value.valid() && (slot.kind == Slot::Kind::kTensor || slot.kind == Slot::Kind::kList);
}

/// A small value that is known now goes into a body as a constant, so that shapes made of it stay known.
std::optional<Literal> Inlined(const ir::Graph& graph, const Slot& slot) {
  if (slot.kind != Slot::Kind::kTensor || !slot.value.valid()) return std::nullopt;
  std::optional<Literal> known = KnownLiteral(graph, slot.value);
  return known && known->size() <= 4096 ? known : std::nullopt;
}

std::vector<int> Union(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> out = a;
  for (const int id : b)
    if (std::ranges::count(out, id) == 0) out.push_back(id);
  return out;
}

}  // namespace

/// A closed graph under construction inside the present one.
struct Translator::Inside {
  explicit Inside(Translator& translator)
      : t(translator), outer(translator.building_), graph(std::make_shared<ir::Graph>()), builder(graph.get()) {
    building.graph = graph.get();
    building.parent = outer;
    building.restoring = outer->restoring;
    t.building_ = &building;
  }
  ~Inside() { t.building_ = outer; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  /// A slot of the outer graph as an input of this one.
  Slot Input(const Slot& slot, const ir::Type& type, const std::string& name) {
    Slot inner = slot;
    inner.guards.clear();
    if (HasValue(slot)) inner.value = builder.Input(name, type);
    return inner;
  }
  void Cell(int id, const ir::Type& type, const std::string& name) { building.current[id] = builder.Input(name, type); }
  ir::GraphPtr Finish(std::vector<ir::Value> outputs) {
    graph->set_outputs(std::move(outputs));
    graph->Compact();
    return graph;
  }

  Translator& t;
  Building* outer;
  std::shared_ptr<ir::Graph> graph;
  Building building;
  ir::Builder builder;
};

Status Translator::Try(const std::function<Status()>& run) {
  const auto problems = problems_;
  const auto reported = reported_;
  const Status status = run();
  problems_ = problems;
  reported_ = reported;
  // A malformed body is reported by the real run; only exhaustion ends everything.
  return status.code() == Code::kResourceExhausted ? status : Status();
}

Result<std::vector<Slot>> Translator::Branch(ir::Value predicate, std::vector<Slot> args, const BranchFn& yes,
                                             const BranchFn& no) {
  ir::Graph& outer = *building_->graph;
  if (const std::optional<Literal> known = KnownLiteral(outer, predicate); known && known->size() == 1)
    return known->at(0) != 0 ? yes(std::move(args)) : no(std::move(args));

  std::vector<std::optional<Literal>> constants;
  std::vector<ir::Value> operands{predicate};
  for (const Slot& arg : args) {
    constants.push_back(Inlined(outer, arg));
    if (!constants.back() && HasValue(arg)) operands.push_back(arg.value);
  }
  const auto enter = [&](Inside& in) {
    std::vector<Slot> inner;
    for (std::size_t i = 0; i < args.size(); ++i) {
      if (constants[i]) {
        Slot slot = args[i];
        slot.guards.clear();
        slot.value = in.builder.Constant(*constants[i]);
        inner.push_back(std::move(slot));
      } else {
        inner.push_back(
            in.Input(args[i], args[i].value.valid() ? outer.type(args[i].value) : ir::Type(), fmt::format("a{}", i)));
      }
    }
    return inner;
  };
  // Which variables the branches touch.
  std::vector<int> cells, written;
  for (const BranchFn* branch : {&yes, &no})
    TENON_RETURN_IF_ERROR(Try([&]() -> Status {
      Inside in(*this);
      const Result<std::vector<Slot>> out = (*branch)(enter(in));
      cells = Union(cells, Union(in.building.reads, in.building.writes));
      written = Union(written, in.building.writes);
      return out.status();
    }));
  std::vector<ir::Type> cell_types;
  for (const int id : cells) {
    TENON_ASSIGN_OR_RETURN(const ir::Value value, Read(id));
    operands.push_back(value);
    cell_types.push_back(outer.type(value));
  }
  std::vector<std::vector<Slot>> results;
  std::vector<ir::GraphPtr> graphs;
  for (const BranchFn* branch : {&yes, &no}) {
    Inside in(*this);
    std::vector<Slot> inner = enter(in);
    for (std::size_t k = 0; k < cells.size(); ++k) in.Cell(cells[k], cell_types[k], cell(cells[k]).name);
    const std::size_t before = problems_.size();
    TENON_ASSIGN_OR_RETURN(std::vector<Slot> out, (*branch)(std::move(inner)));
    if (problems_.size() != before) return std::vector<Slot>(out.size());  // reported
    std::vector<ir::Value> values;
    for (const Slot& slot : out) {
      if (slot.kind == Slot::Kind::kNone || slot.pending != nullptr)
        return Status(Code::kUnimplemented, "a branch gives a value that cannot be translated");
      if (HasValue(slot)) values.push_back(slot.value);
    }
    for (const int id : written) values.push_back(in.building.current.at(id));
    TENON_RETURN_IF_ERROR(in.builder.status());
    graphs.push_back(in.Finish(std::move(values)));
    results.push_back(std::move(out));
  }
  if (results[0].size() != results[1].size())
    return Status(Code::kInvalidArgument, "its branches give different numbers of values");
  ir::Builder builder(&outer);
  const std::vector<ir::Value> made =
      builder.AddAll("cond", operands, {{"then_branch", graphs[0]}, {"else_branch", graphs[1]}});
  TENON_RETURN_IF_ERROR(builder.status());
  std::size_t next = 0;
  std::vector<Slot> out;
  for (std::size_t k = 0; k < results[0].size(); ++k) {
    Slot slot = results[0][k];
    const Slot& other = results[1][k];
    if (slot.kind != other.kind || HasValue(slot) != HasValue(other) || slot.cell != other.cell)
      return Status(Code::kUnimplemented, "its branches give values of different kinds");
    slot.guards.clear();
    if (HasValue(slot)) slot.value = made[next++];
    out.push_back(std::move(slot));
  }
  for (const int id : written) Write(id, made[next++]);
  return out;
}

Result<std::vector<Slot>> Translator::Loop(LoopSpec spec) {
  ir::Graph& outer = *building_->graph;
  ir::Builder builder(&outer);
  const std::size_t count = spec.variables.size();
  std::vector<ir::Type> types(count);
  std::vector<std::optional<Literal>> constants(count);
  const auto refresh = [&](std::size_t i) {
    if (HasValue(spec.variables[i])) types[i] = outer.type(spec.variables[i].value);
  };
  for (std::size_t i = 0; i < count; ++i) {
    refresh(i);
    if (spec.constant[i]) constants[i] = Inlined(outer, spec.variables[i]);
  }
  // Inputs of both graphs: carried values, written cells, then what stays.
  std::vector<int> read, written;
  const auto carried = [&](std::size_t i) { return !spec.constant[i] && HasValue(spec.variables[i]); };
  const auto enter = [&](Inside& in) {
    std::vector<Slot> inner(count);
    for (std::size_t i = 0; i < count; ++i)
      if (carried(i)) inner[i] = in.Input(spec.variables[i], types[i], spec.names[i]);
    const auto cells = [&](const std::vector<int>& ids) {
      for (const int id : ids) in.Cell(id, outer.type(building_->parent->current.at(id)), cell(id).name);
    };
    cells(written);
    for (std::size_t i = 0; i < count; ++i) {
      if (carried(i)) continue;
      inner[i] = spec.variables[i];
      inner[i].guards.clear();
      if (constants[i])
        inner[i].value = in.builder.Constant(*constants[i]);
      else
        inner[i] = in.Input(spec.variables[i], types[i], spec.names[i]);
    }
    cells(read);
    return inner;
  };

  // Trials, until the types of the carried values are those that the body gives back, lists have their items' dims and
  // all variables that are touched are known.
  bool stable = false;
  for (int round = 0; round < 8 && !stable; ++round) {
    stable = true;
    std::vector<Shape> items(count);
    std::vector<bool> listed(count);
    TENON_RETURN_IF_ERROR(Try([&]() -> Status {
      std::vector<int> touched, stored;
      {
        Inside in(*this);
        const Result<std::vector<Slot>> out = spec.body(enter(in));
        touched = Union(in.building.reads, in.building.writes);
        stored = in.building.writes;
        for (std::size_t i = 0; out.ok() && i < count && i < out->size(); ++i) {
          const Slot& after = (*out)[i];
          if (!HasValue(after)) continue;
          const ir::Type type = in.graph->type(after.value);
          if (spec.variables[i].pending != nullptr && type.has_rank() && type.rank() > 0) {
            items[i] = Shape(std::vector<Dim>(type.shape().dims().begin() + 1, type.shape().dims().end()));
            listed[i] = true;
          }
          if (!carried(i) || type == types[i] || type.dtype() != types[i].dtype()) continue;
          if (!type.has_rank() || !types[i].has_rank() || type.rank() != types[i].rank()) {
            if (!types[i].has_rank()) continue;
            types[i] = ir::Type::TensorOfUnknownRank(type.dtype());
            stable = false;
            continue;
          }
          std::vector<Dim> dims = types[i].shape().dims();
          for (int d = 0; d < type.rank(); ++d) {
            const auto at = static_cast<std::size_t>(d);
            const bool open = dims[at].is_symbolic() && dims[at].symbol_name().starts_with("loop_");
            if (dims[at] == type.shape()[d] || open) continue;
            dims[at] = Dim::symbol(fmt::format("loop_{}_{}", i, d));
            stable = false;
          }
          types[i] = ir::Type::Tensor(type.dtype(), Shape(std::move(dims)));
        }
      }
      {
        Inside in(*this);
        const Result<Slot> go = spec.condition(enter(in));
        touched = Union(touched, in.building.reads);
      }
      for (const int id : stored) {
        if (std::ranges::count(written, id) != 0) continue;
        written.push_back(id);
        std::erase(read, id);
        stable = false;
      }
      for (const int id : touched) {
        if (std::ranges::count(written, id) != 0 || std::ranges::count(read, id) != 0) continue;
        read.push_back(id);
        stable = false;
      }
      return {};
    }));
    for (const int id : Union(written, read)) TENON_RETURN_IF_ERROR(Read(id).status());
    for (std::size_t i = 0; i < count; ++i) {
      if (!listed[i]) continue;
      spec.variables[i] = Materialize(builder, spec.variables[i], items[i]);
      refresh(i);
      stable = false;
    }
    TENON_RETURN_IF_ERROR(builder.status());
  }

  std::vector<ir::Value> operands;
  for (std::size_t i = 0; i < count; ++i)
    if (carried(i)) operands.push_back(spec.variables[i].value);
  for (const int id : written) operands.push_back(building_->current.at(id));
  const auto carries = static_cast<std::int64_t>(operands.size());
  for (std::size_t i = 0; i < count; ++i)
    if (!carried(i) && !constants[i] && HasValue(spec.variables[i])) operands.push_back(spec.variables[i].value);
  for (const int id : read) operands.push_back(building_->current.at(id));

  const std::size_t before = problems_.size();
  ir::GraphPtr body, condition;
  {
    Inside in(*this);
    TENON_ASSIGN_OR_RETURN(const std::vector<Slot> out, spec.body(enter(in)));
    if (problems_.size() != before) return std::vector<Slot>(count);
    if (out.size() != count)
      return Status(Code::kInvalidArgument, fmt::format("its body gives {} values, expected {}", out.size(), count));
    std::vector<ir::Value> values;
    for (std::size_t i = 0; i < count; ++i) {
      if (!carried(i)) continue;
      if (!HasValue(out[i])) return Status(Code::kUnimplemented, fmt::format("loop variable {} cannot be followed", i));
      values.push_back(out[i].value);
    }
    for (const int id : written) values.push_back(in.building.current.at(id));
    TENON_RETURN_IF_ERROR(in.builder.status());
    body = in.Finish(std::move(values));
  }
  {
    Inside in(*this);
    TENON_ASSIGN_OR_RETURN(const Slot go, spec.condition(enter(in)));
    if (problems_.size() != before) return std::vector<Slot>(count);
    if (!HasValue(go)) return Status(Code::kUnimplemented, "its condition cannot be followed");
    TENON_RETURN_IF_ERROR(in.builder.status());
    condition = in.Finish({go.value});
  }
  const std::vector<ir::Value> made =
      builder.AddAll("while_loop", operands, {{"condition", condition}, {"body", body}, {"carries", carries}});
  TENON_RETURN_IF_ERROR(builder.status());
  std::size_t next = 0;
  std::vector<Slot> out = spec.variables;
  for (std::size_t i = 0; i < count; ++i) {
    out[i].guards.clear();
    if (carried(i)) out[i].value = made[next++];
  }
  for (const int id : written) Write(id, made[next++]);
  return out;
}

Status Translator::TranslateFrame(Scope& scope, int exit) {
  const Body& body = *scope.body;
  const Frame& frame = body.frames[body.frame_of_exit.at(exit)];
  const NodeDef& node = (*body.nodes)[static_cast<std::size_t>(exit)];
  if (!frame.problem.empty()) {
    Report(node, Status(Code::kUnimplemented, frame.problem));
    return {};
  }
  LoopSpec spec;
  for (std::size_t i = 0; i < frame.outer.size(); ++i) {
    spec.variables.push_back(Resolve(scope, frame.outer[i]));
    if (spec.variables.back().kind == Slot::Kind::kNone) return {};  // reported where it was lost
    const bool constant = i >= frame.variables.size();
    spec.constant.push_back(constant);
    const int enter = constant ? frame.constants[i - frame.variables.size()] : frame.variables[i].enter;
    spec.names.push_back((*body.nodes)[static_cast<std::size_t>(enter)].name);
  }
  // The nodes of the loop in a scope of their own, its variables fed.
  const auto fill = [&](const std::vector<Slot>& values) {
    Scope inner;
    inner.body = &body;
    inner.prefix = scope.prefix;
    for (const Slot& arg : scope.args) inner.args.push_back(arg.kind == Slot::Kind::kResource ? arg : Slot());
    const auto feed = [&inner](int id, int output, const Slot& slot) {
      inner.fed[(std::int64_t{id} << 16) | output] = slot;
    };
    for (std::size_t i = 0; i < frame.variables.size(); ++i) {
      feed(frame.variables[i].merge, 0, values[i]);
      feed(frame.variables[i].loop_switch, 1, values[i]);
    }
    for (std::size_t i = 0; i < frame.constants.size(); ++i)
      feed(frame.constants[i], 0, values[frame.variables.size() + i]);
    inner.results.resize(body.nodes->size());
    return inner;
  };
  const auto fetch = [this](Scope& inner, const Ref& ref) -> Result<Slot> {
    const bool fed = inner.fed.contains((std::int64_t{ref.node} << 16) | ref.output);
    if (!fed) TENON_RETURN_IF_ERROR(Evaluate(inner, {ref.node}));
    return Resolve(inner, ref);
  };
  if (depth_ >= 64) return Status(Code::kResourceExhausted, name_ + ": loops nested deeper than 64");
  spec.condition = [&](const std::vector<Slot>& values) -> Result<Slot> {
    Scope inner = fill(values);
    return fetch(inner, frame.condition);
  };
  spec.body = [&](const std::vector<Slot>& values) -> Result<std::vector<Slot>> {
    Scope inner = fill(values);
    std::vector<Slot> out;
    for (const Frame::Variable& variable : frame.variables) {
      TENON_ASSIGN_OR_RETURN(Slot slot, fetch(inner, variable.next));
      out.push_back(std::move(slot));
    }
    for (std::size_t i = frame.variables.size(); i < values.size(); ++i) out.push_back(values[i]);
    return out;
  };
  ++depth_;
  const Result<std::vector<Slot>> out = Loop(std::move(spec));
  --depth_;
  if (!out.ok()) {
    if (out.status().code() == Code::kResourceExhausted) return out.status();
    Report(node, out.status());
    return {};
  }
  for (std::size_t i = 0; i < frame.variables.size(); ++i)
    for (const int id : frame.variables[i].exits) {
      scope.results[static_cast<std::size_t>(id)] = {(*out)[i]};
      scope.done[static_cast<std::size_t>(id)] = 2;
    }
  return {};
}

}  // namespace tenon::savedmodel
