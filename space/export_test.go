package space

// Products counts the terms in product form.
func (c *CostModel) Products() int {
	n := 0
	for _, t := range c.terms {
		if t.table == nil {
			n++
		}
	}
	return n
}

// Sums counts the sums of which a subnet pays the largest.
func (c *CostModel) Sums() int { return len(c.sums) }
