"""What statements may call: functions that compute from their arguments and read nothing else, and types likewise.

Everything is looked up in `pg_catalog` alone (see `agents.backends.postgres`), so these names mean PostgreSQL's own.
Left out although they are pure: those that make much out of little (`repeat`, `lpad`, `format`), because one huge value
reaches us whole; and XML.
"""

from __future__ import annotations


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in text.split())


AGGREGATES = """
any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every grouping
json_agg json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont percentile_disc range_agg
range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance
"""
WINDOWS = "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number"
NUMBERS = """
abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd degrees
div erf erfc exp factorial float4 float8 floor gcd int2 int4 int8 lcm ln log log10 min_scale mod numeric pi pow power
radians random round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket
"""
TEXTS = """
ascii bit_length bpchar btrim casefold char char_length character_length chr concat concat_ws convert_from convert_to
decode encode initcap is_normalized left length like like_escape lower ltrim md5 normalize notlike octet_length overlay
parse_ident position quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like regexp_match
regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr replace reverse right rtrim
similar_to_escape split_part starts_with string_to_array string_to_table strpos substr substring text to_ascii to_bin
to_hex to_oct translate unistr upper varchar
"""
BYTES = "bit bit_count get_bit get_byte set_bit set_byte sha224 sha256 sha384 sha512 varbit"
TIMES = """
age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract interval isfinite justify_days
justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps
statement_timestamp time timeofday timestamp timestamptz timetz timezone to_char to_date to_number to_timestamp
transaction_timestamp
"""
JSON = """
array_to_json json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
json_each json_each_text json_extract_path json_extract_path_text json_object json_object_keys json_strip_nulls
json_to_record json_to_recordset json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length
jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert
jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset
jsonb_typeof row_to_json to_json to_jsonb
"""
ARRAYS = """
array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions array_prepend
array_remove array_replace array_reverse array_sort array_to_string array_upper cardinality generate_series
generate_subscripts trim_array unnest
"""
RANGES = """
daterange int4range int8range isempty lower_inc lower_inf multirange numrange range_merge tsrange tstzrange upper_inc
upper_inf datemultirange int4multirange int8multirange nummultirange tsmultirange tstzmultirange
"""
SEARCH = """
numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_delete ts_filter
ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array websearch_to_tsquery
"""
SHAPES = """
area box bound_box center circle diameter height isclosed isopen line lseg npoints path point polygon radius slope
width
"""
ADDRESSES = "abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask network set_masklen"
REST = "gen_random_uuid num_nonnulls num_nulls uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7"

FUNCTIONS = _words(
    AGGREGATES, WINDOWS, NUMBERS, TEXTS, BYTES, TIMES, JSON, ARRAYS, RANGES, SEARCH, SHAPES, ADDRESSES, REST
)

TYPES = _words("""
bit bool box bpchar bytea char cidr circle date datemultirange daterange float4 float8 inet int2 int4 int4multirange
int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric
nummultirange numrange oid path point polygon text time timestamp timestamptz timetz tsmultirange tsquery tsrange
tstzmultirange tstzrange tsvector uuid varbit varchar
""")

# Those without parentheses; CURRENT_USER and its like are not among them.
VALUES = _words("""
SVFOP_CURRENT_DATE SVFOP_CURRENT_TIME SVFOP_CURRENT_TIME_N SVFOP_CURRENT_TIMESTAMP SVFOP_CURRENT_TIMESTAMP_N
SVFOP_LOCALTIME SVFOP_LOCALTIME_N SVFOP_LOCALTIMESTAMP SVFOP_LOCALTIMESTAMP_N
""")

# `alias.name` and `(value).name` call a function of that name when there is no such column, so `f.pg_read_file` over
# `unnest(…) AS f(x)` reads a file. These are PostgreSQL's functions that take one argument and are not pure, and those
# of the types that look names up, pure by name only: `('secrets').regclassin`. A prefix stands for all that begin so,
# here and in versions to come.
HIDDEN_PREFIXES = ("pg_", "lo_", "binary_upgrade_", "txid_", "to_reg")
LOOKING_UP = _words("""
aclitem regclass regcollation regconfig regdatabase regdictionary regnamespace regoper regoperator regproc regprocedure
regrole regtype
""")
HIDDEN = _words(
    *(f"{name} _{name} {name}in {name}out {name}recv {name}send" for name in LOOKING_UP),
    """
aclexplode amvalidate brin_summarize_new_values col_description current_schemas current_setting currval
database_to_xml fmgr_c_validator fmgr_internal_validator fmgr_sql_validator gin_clean_pending_list
hash_aclitem lastval loread lowrite mxid_age nextval obj_description oidvectortypes plpgsql_validator query_to_xml
row_security_active schema_to_xml set_config setseed setval shobj_description table_to_xml ts_debug ts_parse ts_stat
ts_token_type
""",
)


def is_hidden_call(field: str) -> bool:
    """Return whether a field of this name may be a call in disguise of what may not be called."""
    return field in HIDDEN or field.startswith(HIDDEN_PREFIXES)
