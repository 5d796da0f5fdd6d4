package bridgechild

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// An architecture is what a filter of system calls has to know about a processor. Source of the
// numbers: the kernel's tables of system calls, which never change for a processor.
// A wrong number here would either break the bridge at its start or let through what is to be
// refused. The test of a confined child (probe_test.go) tries it on the machine that it runs on.
type architecture struct {
	audit   uint32 // how the kernel names it
	socket  uint32 // number of socket(2)
	ioUring uint32 // number of io_uring_setup(2), through which sockets can be made, too
	foreign uint32 // numbers from here on belong to another kind of program (x32); 0 for none
}

// architectures are the processors that are known, by GOARCH.
var architectures = map[string]architecture{
	"amd64": {audit: unix.AUDIT_ARCH_X86_64, socket: 41, ioUring: 425, foreign: 0x40000000},
	"arm64": {audit: unix.AUDIT_ARCH_AARCH64, socket: 198, ioUring: 425},
}

// Offsets in struct seccomp_data.
const (
	// struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }.
	// Source: linux/seccomp.h.
	offsetCall     = 0
	offsetArch     = 4
	offsetFirstArg = 16 // the lower half, on the processors above
)

// socketFilter is a seccomp filter that refuses sockets of other kinds than IPv4, IPv6 and netlink (which name resolution
// uses): above all sockets in the file system. Pairs of sockets, by which a program talks to its own children, are another
// call and stay possible. Programs for another processor are ended. It is nil for a processor that isn't known.
//
// Each JumpIf skips the refusal that follows it when its condition holds, so the program reads
// as a list of rules. The kernel runs it for every system call of the child.
func socketFilter(goarch string) ([]unix.SockFilter, error) {
	arch, known := architectures[goarch]
	if !known {
		return nil, nil
	}
	const (
		// A refused call fails with EACCES, as a forbidden file does; ending the process is kept
		// for what no honest program does.
		allow  = unix.SECCOMP_RET_ALLOW
		refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
		end    = unix.SECCOMP_RET_KILL_PROCESS
	)
	program := []bpf.Instruction{
		// The numbers below mean something else in a 32-bit program, so that is ended before they
		// are looked at.
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch.audit, SkipTrue: 1},
		bpf.RetConstant{Val: end},
		bpf.LoadAbsolute{Off: offsetCall, Size: 4},
	}
	if arch.foreign != 0 {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpLessThan, Val: arch.foreign, SkipTrue: 1},
			bpf.RetConstant{Val: end},
		)
	}
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arch.ioUring, SkipTrue: 1},
		bpf.RetConstant{Val: refuse},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch.socket, SkipTrue: 1},
		bpf.RetConstant{Val: allow},
		bpf.LoadAbsolute{Off: offsetFirstArg, Size: 4},
		// Each skip leads to the allow at the end: three, two and one instructions further.
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_NETLINK, SkipTrue: 1},
		bpf.RetConstant{Val: refuse},
		bpf.RetConstant{Val: allow},
	)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, instruction := range raw {
		// The kernel's own struct; bpf's has the same fields.
		filter[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	return filter, nil
}
