// SPDX-License-Identifier: Apache-2.0
import java.net.URI;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Reads one file by Hadoop's own client, whole and in ranges, and prints what it saw. */
public class HadoopRead {
    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        for (int i = 1; i < args.length; i++) {
            int at = args[i].indexOf('=');
            conf.set(args[i].substring(0, at), args[i].substring(at + 1));
        }
        Path path = new Path(args[0]);
        FileSystem fs = FileSystem.get(new URI(args[0]), conf);
        FileStatus status = fs.getFileStatus(path);
        byte[] whole = new byte[(int) status.getLen()];
        try (FSDataInputStream in = fs.open(path)) {
            in.readFully(0, whole);
        }
        Random random = new Random(7);
        try (FSDataInputStream in = fs.open(path)) {
            for (int i = 0; i < 20; i++) {
                int from = random.nextInt(whole.length), size = 1 + random.nextInt(Math.min(1 << 20, whole.length - from));
                byte[] part = new byte[size];
                in.readFully(from, part);
                for (int j = 0; j < size; j++)
                    if (part[j] != whole[from + j])
                        throw new Exception("range " + from + "+" + size + " differs at " + j);
            }
        }
        System.out.println("length=" + whole.length + " owner=" + status.getOwner() + " sha256="
            + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(whole)));
    }
}
