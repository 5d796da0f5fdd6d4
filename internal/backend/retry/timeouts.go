package retry

import "time"

// The time-outs of all backends, unless an operator sets others. The defaults of COMPOSER_START_TIMEOUT and
// so on repeat them for the help text; a test in cli compares the two.
const (
	// StartTimeout is how long upstream may take to accept a request.
	StartTimeout = 25 * time.Second
	// StallTimeout is how long an accepted request may bring no byte at all. It is the SDK's; source: the protocol's
	// description of stalls.
	StallTimeout = 30 * time.Second
	// ProgressTimeout is how long upstream may send nothing but heartbeats. A model may think for minutes.
	ProgressTimeout = 5 * time.Minute
)
