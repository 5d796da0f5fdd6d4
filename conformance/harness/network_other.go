//go:build !linux

package harness

import "testing"

// Offline runs test. There are network namespaces on Linux alone.
func Offline(t *testing.T, test func(*testing.T)) { test(t) }
