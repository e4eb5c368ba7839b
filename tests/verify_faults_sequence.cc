// Faults in the networks with attention and recurrence.

#include "verify_faults_edit.h"

namespace tenon::faults {

const std::vector<Fault>& SequenceFaults() {
  static const std::vector<Fault> kFaults = {
      TENON_FAULT("query and key exchanged", "net_attention",
                  {
                    p.Node("MatMul", 0).inputs[1] = "wk";
                    p.Node("MatMul", 1).inputs[1] = "wq";
                    return "q_flat|k_turned";
                  }),
      TENON_FAULT("scale of the scores", "net_attention",
                  {
                    p.Weight("scale", [](Floats& v, Ints&) { v[0] = 0.35355338F; });
                    return "scaled";
                  }),
      TENON_FAULT("softmax over the queries", "net_attention",
                  {
                    p.SetInt(p.Node("Softmax"), "axis", -2);
                    return "weights";
                  }),
      TENON_FAULT("heads and steps exchanged", "net_attention",
                  {
                    p.SetInts(p.Node("Transpose", 0), "perm", {0, 1, 2, 3});
                    return "q";
                  }),
      TENON_FAULT("transpose of the keys missing its turn", "net_attention",
                  {
                    p.Remove("k", "k_heads");
                    return "k|k_turned";
                  }),
      TENON_FAULT("heads not put together again", "net_attention",
                  {
                    p.Remove("together", "context");
                    return "together|merged";
                  }),
      TENON_FAULT("a transpose too many", "net_attention",
                  {
                    p.Insert("projected", 1, "Transpose", {Perm({1, 0})});
                    return "projected";
                  }),
      TENON_FAULT("residual left out", "net_attention",
                  {
                    p.Node("Add").inputs[1] = "projected";
                    return "y";
                  }),
      TENON_FAULT("order of an LSTM's gates", "net_recurrent",
                  {
                    p.Weight("w", [](Floats& v, Ints&) { PermuteBlocks(v, {0, 2, 1, 3}); });
                    return "lstm";
                  }),
      TENON_FAULT("recurrent kernel transposed", "net_recurrent",
                  {
                    p.Weight("r", TurnLastTwo);
                    return "lstm";
                  }),
      TENON_FAULT("direction of an LSTM", "net_recurrent",
                  {
                    p.SetString(p.Node("LSTM"), "direction", "reverse");
                    return "lstm";
                  }),
      TENON_FAULT("order of a GRU's gates", "net_recurrent",
                  {
                    p.Weight("gw", [](Floats& v, Ints&) { PermuteBlocks(v, {1, 0, 2}); });
                    return "gru";
                  }),
      TENON_FAULT("linear_before_reset", "net_recurrent",
                  {
                    p.SetInt(p.Node("GRU"), "linear_before_reset", 0);
                    return "gru";
                  }),
  };
  return kFaults;
}

}  // namespace tenon::faults
