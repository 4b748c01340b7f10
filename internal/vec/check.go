package vec

func selfCheck(v *variant) error { return nil }
