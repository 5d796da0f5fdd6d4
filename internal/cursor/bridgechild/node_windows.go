package bridgechild

const nodeName = "node.exe"
