// Check 7: graphs come back from their text and from native files as they were.
#include "conformance.h"
#include "formats/native/native.h"
#include "ir/text.h"
#include "temporary_folder.h"

namespace tenon::conformance {
namespace {

void RoundTrip(const Wired& w, std::string_view what) {
  ir::Blobs blobs;
  const std::string text = ir::PrintGraph(w.graph, &blobs);
  const auto back = ir::ParseGraph(text, blobs);
  ASSERT_TRUE(back.ok()) << what << ": " << back.status().message() << "\n" << text;
  EXPECT_TRUE(ir::SameGraph(w.graph, *back)) << what << ": another graph comes back from\n" << text;
  ir::Blobs again;
  EXPECT_EQ(ir::PrintGraph(*back, &again), text) << what;
}

}  // namespace

void CheckText(const Op& op) {
  for (const Case& c : op.cases) {
    SCOPED_TRACE(c.name());
    for (const auto& [options, what] : {std::pair(WireOptions{}, "the op"),
                                        {WireOptions{.form = InputForm::kSymbolic}, "the op with symbolic dims"},
                                        {WireOptions{.lowered = true}, "the lowering"}}) {
      if (options.lowered && op.def->lower == nullptr) continue;
      const auto wired = Wire(c, options);
      ASSERT_TRUE(wired.ok()) << what << ": " << wired.status().message();
      RoundTrip(*wired, what);
    }
  }
}

// All cases are functions of one module.
void CheckNative(const Op& op) {
  ir::Module module;
  for (const Case& c : op.cases) {
    const auto wired = Wire(c);
    ASSERT_TRUE(wired.ok()) << wired.status().message();
    ir::Function f;
    f.name = "f" + std::to_string(module.functions.size());
    f.graph = wired->graph;
    for (std::size_t i = 0; i < f.graph.inputs().size(); ++i) f.input_names.push_back("in" + std::to_string(i));
    for (std::size_t i = 0; i < f.graph.outputs().size(); ++i) f.output_names.push_back("out" + std::to_string(i));
    module.functions.push_back(std::move(f));
  }
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/op.tenon";
  const Status written = native::Write(module, path);
  ASSERT_TRUE(written.ok()) << written.message();
  const auto back = native::Read(path);
  ASSERT_TRUE(back.ok()) << back.status().message();
  ASSERT_EQ(back->functions.size(), module.functions.size());
  for (std::size_t i = 0; i < module.functions.size(); ++i) {
    EXPECT_EQ(back->functions[i].input_names, module.functions[i].input_names);
    EXPECT_EQ(back->functions[i].output_names, module.functions[i].output_names);
    EXPECT_TRUE(ir::SameGraph(back->functions[i].graph, module.functions[i].graph)) << op.cases[i].name();
  }
}

}  // namespace tenon::conformance
