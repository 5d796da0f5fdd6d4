//go:build !windows

package bridgechild

const nodeName = "node"
