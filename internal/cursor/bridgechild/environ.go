package bridgechild

import "path/filepath"

// private are the variables that say on the operating system goos where the child's home is and
// where it puts temporary files. ours gives variables of our own environment. The list is
// complete: nothing else of our environment reaches the child, no key and no proxy of ours.
func private(goos, home, temp string, ours func(string) string) []string {
	if goos != "windows" {
		return []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "HOME=" + home, "TMPDIR=" + temp}
	}
	// Without SystemRoot, Node finds neither random numbers nor sockets.
	root := ours("SystemRoot")
	return []string{
		"SystemRoot=" + root, "PATH=" + filepath.Join(root, "System32"), "TZ=UTC",
		"USERPROFILE=" + home, "HOME=" + home, "APPDATA=" + home, "LOCALAPPDATA=" + home, "TEMP=" + temp, "TMP=" + temp,
	}
}
