package cursorsim

import (
	"testing"

	"composer-api/internal/cursor/pb"
)

func TestSomeVariantsNeedMaxMode(t *testing.T) {
	for _, c := range []struct {
		model, parameter, value string
		want                    bool
	}{
		{"sim-thinker", "effort", "high", true},
		{"sim-thinker", "effort", "medium", false},
		{"sim-thinker", "effort", "low", false}, // the catalogue lists no such variant
		{"composer-2.5", "fast", "true", false},
		{"sim-plain", "fast", "true", false},
	} {
		m := &pb.RequestedModel{ModelId: c.model, Parameters: []*pb.RequestedModel_Param{{Id: c.parameter, Value: c.value}}}
		if got := needsMaxMode(m); got != c.want {
			t.Errorf("%s: %t, want %t", modelString(m), got, c.want)
		}
	}
	if needsMaxMode(&pb.RequestedModel{ModelId: "sim-thinker"}) {
		t.Error("a model with a variant that goes without max_mode needs it")
	}
}
