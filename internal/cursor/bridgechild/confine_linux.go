package bridgechild

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Confinement names how children are confined here: "landlock", or "" when they can't be.
func Confinement() string {
	if version, err := llsyscall.LandlockGetABIVersion(); err != nil || version < 1 {
		return ""
	}
	return "landlock"
}

// runConfined restricts this process by rules, for good, and becomes argv. It returns only if that fails.
//
// Landlock refuses files, and it refuses to look into processes outside (their environment, their memory). Newer kernels
// refuse signals to them, too. It leaves sockets in the file system alone, behind which programs listen that do as they are
// told (the user's session bus, a container's daemon), so a filter refuses such sockets altogether. Capabilities go last:
// what is left of root then is that root's files are its own.
//
//	step                what it takes away                      survives exec by
//	Landlock            files, looking into processes           itself
//	NO_NEW_PRIVS        setuid programs                         itself; the filter needs it
//	refuseSockets       sockets in the file system, io_uring    itself
//	dropCapabilities    what is left of root                    the bounding set
//
// BestEffort: an older kernel does what it can. What is there at all, Confinement tells.
func runConfined(rules accessRules, argv []string) error {
	runtime.LockOSThread() // the filter and the capabilities are the thread's, which becomes argv
	config := landlock.V9.BestEffort()
	config.HandledAccessNet = 0 // it has to reach Cursor, whose ports are not ours to know
	err := config.Restrict(
		landlock.RODirs(existing(rules.Read, true)...).IgnoreIfMissing(),
		landlock.ROFiles(existing(rules.Read, false)...).IgnoreIfMissing(),
		landlock.RWDirs(existing(rules.Write, true)...).IgnoreIfMissing(),
		landlock.RWFiles(existing(rules.Write, false)...).IgnoreIfMissing(),
	)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if err == nil {
		err = refuseSockets()
	}
	if err == nil {
		err = dropCapabilities()
	}
	if err != nil {
		return fmt.Errorf("the bridge can't be confined: %w", err)
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

// existing are the paths that exist, folders or else files. Landlock has different rights for
// files and folders, so they have to be told apart.
func existing(paths []string, folders bool) []string {
	var found []string
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() == folders {
			found = append(found, path)
		}
	}
	return found
}

// refuseSockets installs the filter of socketFilter on this thread, for good. It does nothing on a processor whose numbers
// we don't know.
func refuseSockets() error {
	filter, err := socketFilter(runtime.GOARCH)
	if err != nil || filter == nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// dropCapabilities takes this thread's capabilities away, and those that root would get back with the next program.
func dropCapabilities() error {
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			break // the last one was dropped, or we are no root and have none to drop
		}
		if err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}
