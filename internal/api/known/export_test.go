package known

// Bytes is about how much is kept.
func (m *Memory) Bytes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.Bytes()
}
