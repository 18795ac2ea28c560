"""The tour at home: the text of a lecture beside the live view, and the words it uses."""

from kdviz.ui.present.learn import learn

learn()
