// SPDX-License-Identifier: Apache-2.0
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Apache Spark in local mode, writing or reading one data set: a number and its SHA-256 in hex in each row.
 * Usage: SparkQuery write ROWS | read, FORMAT, URI, then Hadoop's options as NAME=VALUE. Prints what a read found.
 */
public class SparkQuery {
    private static final int FILES = 4;

    public static void main(String[] args) throws Exception {
        int at = args[0].equals("write") ? 2 : 1;
        String format = args[at], uri = args[at + 1];
        SparkSession.Builder builder = SparkSession.builder().master("local[2]").config("spark.ui.enabled", "false");
        for (int i = at + 2; i < args.length; i++) {
            String[] option = args[i].split("=", 2);
            builder.config("spark.hadoop." + option[0], option[1]);
        }
        try (SparkSession spark = builder.getOrCreate()) {
            if (args[0].equals("write")) {
                spark.range(0, Long.parseLong(args[1]), 1, FILES).selectExpr("id", "sha2(cast(id as string), 256) as hash")
                    .write().format(format).save(uri);
                return;
            }
            Dataset<Row> rows = spark.read().schema("id long, hash string").format(format).load(uri);
            Row found = rows.selectExpr("count(*)", "sum(id)", "sum(crc32(hash))").first();
            System.out.println("rows=" + found.get(0) + " ids=" + found.get(1) + " crcs=" + found.get(2)
                + " files=" + rows.inputFiles().length);
        }
    }
}
