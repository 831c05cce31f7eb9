// One image, one line: Inspect.exe ADDRESS IMAGE PART_ID. Exit status 0: the part passes; 1: it doesn't; 2: no verdict.

using System;
using System.IO;
using System.Net;

static class Inspect
{
    static int Main(string[] arguments)
    {
        if (arguments.Length != 3)
        {
            Console.Error.WriteLine("usage: Inspect.exe ADDRESS IMAGE PART_ID");
            return 2;
        }
        try
        {
            string line = Post(arguments[0], File.ReadAllBytes(arguments[1]), arguments[2]);
            string[] fields = line.Split(';'); // evaluation, probability, decision, model, version, part id
            bool passed = fields.Length == 6 && fields[0] == "1";
            Console.WriteLine((passed ? "pass " : "stop ") + line);
            return passed ? 0 : 1;
        }
        catch (Exception error) // an error's status, no answer, no file: the part does not pass
        {
            Console.Error.WriteLine("stop: no verdict: " + error.Message);
            return 2;
        }
    }

    static string Post(string address, byte[] image, string partId)
    {
        var request = (HttpWebRequest)WebRequest.Create(address);
        request.Method = "POST";
        request.Accept = "text/plain";
        request.ContentType = "application/octet-stream";
        request.ContentLength = image.Length;
        request.Headers["X-Part-ID"] = Uri.EscapeDataString(partId);
        request.Headers["X-Deadline-Ms"] = "10000";
        request.Timeout = 15000; // the service answers within the deadline, if only with a refusal
        request.Proxy = null;
        request.ServicePoint.Expect100Continue = false;
        using (Stream body = request.GetRequestStream())
            body.Write(image, 0, image.Length);
        using (WebResponse response = request.GetResponse())
        using (var reader = new StreamReader(response.GetResponseStream()))
            return reader.ReadToEnd().TrimEnd('\n');
    }
}
