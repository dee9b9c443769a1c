package data

// Join returns the samples of v followed by those of o, which must be of the same part.
func (v View) Join(name string, o View) View {
	j := v
	j.Name = name
	j.Index = append(append([]int(nil), v.Index...), o.Index...)
	return j
}
