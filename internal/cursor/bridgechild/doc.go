// Package bridgechild runs Cursor's published bridge as a child process.
//
// The bridge is a Node program that Cursor ships inside its Python package (see package bridgeinstall). It executes file
// and shell requests that the server sends, whatever tools an agent is offered, and it keeps prompts and answers in the
// clear in its home folder. So there is a private folder for the bridges of one owner, which holds their home, their
// temporary files and an empty workspace; each child has an environment with nothing of ours in it, and, where the system
// can, a confinement that lets it write nowhere else and read next to nothing. The folder is deleted when its owner's
// bridges are done for; Sweep deletes what a crash has left.
//
//	home.go            the private folder
//	sweep.go           what a crash has left, and where private folders are made
//	child.go           start, ready line, end
//	environ.go         the child's environment
//	process_*.go       the child as a process group, and how it ends with the gateway, on each system
//	confine.go         what a child may touch; confine_linux.go, confine_other.go: where the system can hold it to that
//	sockets_linux.go   the filter of system calls that leaves a child no sockets but those it needs
package bridgechild
