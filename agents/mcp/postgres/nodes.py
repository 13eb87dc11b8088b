"""The part of PostgreSQL's grammar that may be used: each kind of node, and how each of its parts is read.

How a part is read is a method of `statements.Walk`, or a kind when the part is a node of that kind by itself; a `leaf`
holds nothing that could do anything. What is not here may not be used, in whatever version of the grammar.
"""

from __future__ import annotations

LEAF = "leaf"


def _kind(**parts: str) -> dict[str, str]:
    """Return how each part is read, from the names of the parts by how they are read."""
    return {name: how for how, names in parts.items() for name in names.split()} | {"location": LEAF}


# These are read as a whole by one method.
WHOLE = {
    "SelectStmt": "select",
    "InsertStmt": "insert",
    "UpdateStmt": "update",
    "DeleteStmt": "delete",
    "MergeStmt": "merge",
    "RangeVar": "table",
    "TypeName": "type",
}

# The queries among them; `withClause` has been read when their parts are.
QUERIES = {
    "SelectStmt": _kind(
        distinct="distinctClause",
        nodes="targetList fromClause groupClause windowClause valuesLists sortClause",
        node="whereClause havingClause limitOffset limitCount",
        select="larg rarg",
        into="intoClause",
        lock="lockingClause",
        leaf="withClause groupDistinct limitOption op all",
    ),
    "InsertStmt": _kind(
        real_table="relation",
        nodes="cols",
        node="selectStmt",
        OnConflictClause="onConflictClause",
        ReturningClause="returningClause",
        leaf="withClause override",
    ),
    "UpdateStmt": _kind(
        real_table="relation",
        nodes="targetList fromClause",
        node="whereClause",
        ReturningClause="returningClause",
        leaf="withClause",
    ),
    "DeleteStmt": _kind(
        real_table="relation",
        nodes="usingClause",
        node="whereClause",
        ReturningClause="returningClause",
        leaf="withClause",
    ),
}

NODES = {
    # Values and names
    "A_Const": _kind(leaf="ival fval boolval sval bsval isnull"),
    "A_Star": _kind(),
    "Integer": _kind(leaf="ival"),
    "String": _kind(leaf="sval"),
    "ParamRef": _kind(leaf="number"),
    "ColumnRef": _kind(column="fields"),
    "SetToDefault": _kind(),
    # Expressions
    "A_ArrayExpr": _kind(nodes="elements", leaf="list_start list_end"),
    "A_Expr": _kind(operator="name", node="lexpr rexpr", leaf="kind rexpr_list_start rexpr_list_end"),
    "A_Indices": _kind(node="lidx uidx", leaf="is_slice"),
    "A_Indirection": _kind(node="arg", indirection="indirection"),
    "BoolExpr": _kind(nodes="args", leaf="boolop"),
    "BooleanTest": _kind(node="arg", leaf="booltesttype"),
    "CaseExpr": _kind(node="arg defresult", nodes="args"),
    "CaseWhen": _kind(node="expr result"),
    "CoalesceExpr": _kind(nodes="args"),
    "CollateClause": _kind(node="arg", collation="collname"),
    "FuncCall": _kind(
        function="funcname",
        nodes="args agg_order",
        node="agg_filter",
        WindowDef="over",
        leaf="agg_within_group agg_star agg_distinct func_variadic funcformat",
    ),
    "GroupingFunc": _kind(nodes="args"),
    "List": _kind(nodes="items"),
    "MinMaxExpr": _kind(nodes="args", leaf="op"),
    "MultiAssignRef": _kind(node="source", leaf="colno ncolumns"),
    "NamedArgExpr": _kind(node="arg", leaf="name argnumber"),
    "NullTest": _kind(node="arg", leaf="nulltesttype argisrow"),
    "RowExpr": _kind(nodes="args", leaf="row_format colnames"),
    "SQLValueFunction": _kind(value="op", leaf="typmod"),
    "SubLink": _kind(node="testexpr subselect", operator="operName", leaf="subLinkType"),
    "TypeCast": _kind(node="arg", type="typeName"),
    # Clauses
    "CTECycleClause": _kind(
        node="cycle_mark_value cycle_mark_default", leaf="cycle_col_list cycle_mark_column cycle_path_column"
    ),
    "CTESearchClause": _kind(leaf="search_col_list search_breadth_first search_seq_column"),
    "CommonTableExpr": _kind(
        node="ctequery",
        CTESearchClause="search_clause",
        CTECycleClause="cycle_clause",
        leaf="ctename aliascolnames ctematerialized",
    ),
    "GroupingSet": _kind(nodes="content", leaf="kind"),
    "IndexElem": _kind(node="expr", leaf="name ordering nulls_ordering"),
    "InferClause": _kind(nodes="indexElems", node="whereClause", leaf="conname"),
    "OnConflictClause": _kind(InferClause="infer", nodes="targetList", node="whereClause", leaf="action"),
    "ResTarget": _kind(node="val", indirection="indirection", leaf="name"),
    "ReturningClause": _kind(nodes="options exprs"),
    "ReturningOption": _kind(leaf="option value"),
    "SortBy": _kind(node="node", operator="useOp", leaf="sortby_dir sortby_nulls"),
    "WindowDef": _kind(
        nodes="partitionClause orderClause", node="startOffset endOffset", leaf="name refname frameOptions"
    ),
    # What can be read from
    "ColumnDef": _kind(type="typeName", CollateClause="collClause", leaf="colname is_local"),
    "JoinExpr": _kind(node="larg rarg quals", leaf="jointype isNatural usingClause join_using_alias alias rtindex"),
    "RangeFunction": _kind(calls="functions", nodes="coldeflist", leaf="lateral ordinality is_rowsfrom alias"),
    "RangeSubselect": _kind(node="subquery", leaf="lateral alias"),
    "RangeTableSample": _kind(node="relation repeatable", sampling="method", nodes="args"),
}
