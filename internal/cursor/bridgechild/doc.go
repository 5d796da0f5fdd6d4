// Package bridgechild runs Cursor's published bridge as a child process.
//
// The bridge is a Node program that Cursor ships inside its Python package (see package bridgeinstall). It executes file
// and shell requests that the server sends, whatever tools an agent is offered, and it keeps prompts and answers in the
// clear in its home folder while it runs. So each child has a private folder that holds its home, its temporary files
// and an empty workspace, an environment with nothing of ours in it, and, where the system can, a confinement that lets
// it write nowhere else and read next to nothing. The folder is deleted when the child ends; Sweep deletes what a crash
// has left.
//
//	child.go    start, ready line, health, end
//	folder.go   the private folder, and the sweep
//	confine.go  what the child may touch
package bridgechild
