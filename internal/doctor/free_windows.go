package doctor

import "golang.org/x/sys/windows"

// FreeSpace is how many bytes this user may still write where folder is.
func FreeSpace(folder string) (bytes uint64, ok bool) {
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, false
	}
	err = windows.GetDiskFreeSpaceEx(path, &bytes, nil, nil)
	return bytes, err == nil
}
