//go:build !linux && !darwin && !windows

package doctor

// FreeSpace is not known on this system: there is no call that all BSDs share.
func FreeSpace(string) (bytes uint64, ok bool) { return 0, false }
