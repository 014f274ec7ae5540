package dashboard

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// column is one of a table.
type column struct {
	Name   string
	Number bool
}

func text(name string) column   { return column{Name: name} }
func number(name string) column { return column{Name: name, Number: true} }

// table is a table that a narrow screen shows as a list of cards. The roles say what it is all
// the same, for a browser forgets that of a table that is no longer laid out as one.
func table(class, caption string, columns []column, rows ...g.Node) g.Node {
	heads := g.Map(columns, func(c column) g.Node {
		return h.Th(h.Role("columnheader"), g.Attr("scope", "col"), g.If(c.Number, h.Class("number")), g.Text(c.Name))
	})
	return h.Table(h.Role("table"), h.Class(class), h.Caption(h.Class("hidden"), g.Text(caption)),
		h.THead(h.Role("rowgroup"), h.Tr(h.Role("row"), heads)),
		h.TBody(h.Role("rowgroup"), g.Group(rows)))
}

// row is a row of the table with these columns; the first cell is its heading.
func row(class string, columns []column, cells ...g.Node) g.Node {
	nodes := []g.Node{h.Role("row"), g.If(class != "", h.Class(class))}
	for i, cell := range cells {
		if i == 0 {
			nodes = append(nodes, h.Th(h.Role("rowheader"), g.Attr("scope", "row"), cell))
			continue
		}
		nodes = append(nodes, h.Td(h.Role("cell"), g.Attr("data-label", columns[i].Name), g.If(columns[i].Number, h.Class("number")), h.Div(cell)))
	}
	return h.Tr(nodes...)
}
